// Finds the calls on the FIFO that nobody saw: bytes in the FIFO and tokens booked must be what was
// issued (core/pool.h, drift()). What does not fit is booked to who made the call, or to those that
// may have (host/unseen_calls.h tells in which order they are looked for).
#pragma once

#include <array>
#include <functional>
#include <string>

#include "core/pool.h"
#include "host/kinship.h"
#include "host/unseen_calls.h"
#include "host/watchlist.h"
#include "jobserver/fifo.h"
#include "jobserver/fifo_watch.h"

namespace tokenpool::host {

/// One thread, the arbiter's. Borrows everything.
class Conservation {
 public:
  struct Books {
    core::Pool* pool = nullptr;
    core::Effects* effects = nullptr;
    std::function<void()> apply;  ///< carries `effects` out
    Kinship* kin = nullptr;
    Watchlist* watched = nullptr;
  };
  /// `ends`: the numbers of the inherited descriptors, read and write. Not `tracked`: nobody's
  /// calls are seen, and what does not fit is left alone.
  Conservation(const jobserver::Fifo& fifo, std::array<int, 2> ends, bool tracked, Books books);

  /// Makes the books even; to be called before each event.
  void settle();
  /// The same when the FIFO was touched; reads what the watch has reported, so that it wakes nobody
  /// again.
  void clear_watch();
  /// Readable when somebody has touched the FIFO; -1: there is no watch.
  [[nodiscard]] int watch_fd() const { return watch_.fd(); }
  UnseenCalls& unseen() { return unseen_; }

 private:
  void explain(int drift, const jobserver::FifoTouches& touches);

  const jobserver::Fifo& fifo_;
  std::array<int, 2> ends_;
  bool tracked_;
  Books books_;
  jobserver::FifoWatch watch_;
  UnseenCalls unseen_;
};

}  // namespace tokenpool::host
