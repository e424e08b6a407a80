// Finds the calls on the FIFO that nobody saw: bytes in the FIFO and tokens booked must be what was
// issued (core/pool.h, drift()). What does not fit is booked to who made the call: to those that
// the kernel names, else to those of whom it can be deduced (core/unseen_moves.h) from how far the
// calls have come that were announced (arbiter/unseen_calls.h).
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "arbiter/kinship.h"
#include "arbiter/unseen_calls.h"
#include "core/pool.h"
#include "jobserver/fifo.h"
#include "jobserver/fifo_watch.h"
#include "proc/descriptor_look.h"
#include "proc/watchlist.h"

namespace tokenpool::arbiter {

/// One thread, the arbiter's. Borrows everything.
class Conservation {
 public:
  struct Books {
    core::Pool* pool = nullptr;
    core::Effects* effects = nullptr;
    std::function<void()> apply;  ///< carries `effects` out
    Kinship* kin = nullptr;
    proc::Watchlist* watched = nullptr;
    proc::DescriptorLook* looks = nullptr;  ///< told of who opened the FIFO, and of unseen calls
  };
  /// `ends`: the numbers of the inherited descriptors, read and write. Not `tracked`: nobody's
  /// calls are seen, and what does not fit is left alone.
  Conservation(const jobserver::Fifo& fifo, std::array<int, 2> ends, bool tracked, Books books);

  /// Makes the books even; to be called before each event and at due(). A move that the kernel is
  /// about to report is left to the next call for some milliseconds: until then drift() may stay.
  void settle();
  /// The same, whatever is about to be reported.
  void settle_at_once();
  /// As settle(), and finds what went from hand to hand; to be called when the watch has something
  /// to report, and before the end, the return or the next unseen call of a process for which that
  /// makes a difference.
  void look();
  /// Reads what the watch reports of our own moves, so that it wakes nobody.
  void look_after_own_moves();
  /// When settle() is to be called at the latest.
  [[nodiscard]] std::optional<core::Instant> due() const;
  /// Readable when somebody has touched the FIFO; -1: there is no watch.
  [[nodiscard]] int watch_fd() const { return watch_.fd(); }
  UnseenCalls& unseen() { return unseen_; }

 private:
  using Moves = std::vector<core::UnseenMove>;
  void settle(bool may_wait);
  void look(jobserver::FifoTouches touches, bool may_wait, bool own_moves);
  [[nodiscard]] jobserver::FifoTouches early();
  int collect(jobserver::FifoTouches* touches);
  [[nodiscard]] bool waits_for_report(int drift, const jobserver::FifoTouches& touches);
  core::MoveCounts explain(int drift, const jobserver::FifoTouches& touches);
  /// The same where nobody was named.
  void deduce(int drift, const jobserver::FifoTouches& touches);
  /// A move of nobody that was announced.
  [[nodiscard]] core::UnseenMove of_strangers(int count);
  void book(const Moves& taken, const Moves& returned);
  [[nodiscard]] std::vector<core::ProcessId> adopted(const std::vector<pid_t>& pids);
  /// Of `named` and so many others that had ended before they could be looked at.
  void add_moves(int drift, const std::vector<core::ProcessId>& named, int gone, Moves* moves);
  void add_moves(int drift, const std::vector<core::ProcessId>& named, Moves* moves);

  const jobserver::Fifo& fifo_;
  std::array<int, 2> ends_;
  bool tracked_;
  Books books_;
  jobserver::FifoWatch watch_;
  UnseenCalls unseen_;
  jobserver::FifoTouches early_;  ///< reported, and nothing seen of it yet
  core::Instant early_since_{};
  std::optional<core::Instant> unexplained_since_;  ///< moved, and not reported yet
  std::optional<core::Instant> doubtful_since_;     ///< who moved it is soon known better
};

}  // namespace tokenpool::arbiter
