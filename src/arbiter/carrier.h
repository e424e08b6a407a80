// Carries out what the pool of tokens has decided: on the FIFO, for the clients whose calls are
// stopped, and for the leases.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "arbiter/conservation.h"
#include "arbiter/front_line.h"
#include "arbiter/leases_desk.h"
#include "arbiter/stopped_calls.h"
#include "board/board_log.h"
#include "core/pool.h"
#include "jobserver/fifo.h"
#include "jobserver/seccomp.h"

namespace tokenpool::arbiter {

/// One thread, the arbiter's. Neither copies nor moves.
class Carrier {
 public:
  /// All outlive it.
  struct World {
    core::Pool& pool;
    core::Effects& effects;  ///< of `pool`; empty when they are carried out
    const jobserver::Fifo& fifo;
    const std::optional<jobserver::Listener>& listener;
    board::BoardLog& log;
    Conservation& books;
    LeasesDesk& leases;
    StoppedCalls& waiting;
    bool tracked = false;                  ///< calls are seen
    board::WriteRequest* write = nullptr;  ///< through the front
    const FrontLine& front;
  };
  explicit Carrier(const World& world) : world_(world) {}
  Carrier(const Carrier&) = delete;
  Carrier& operator=(const Carrier&) = delete;

  /// All effects that there are, and those that this leads to. `event`: when it happened.
  void carry_out(core::Instant event);
  /// Whether the FIFO was touched here since the last call: the watch reports it as well.
  bool has_touched_fifo() { return std::exchange(touched_, false); }
  /// Bytes that were to be taken out and were not there: where nobody's calls are seen, they are
  /// still with clients, and have to be taken when they come back.
  [[nodiscard]] int owed() const { return owed_; }
  void collect_owed();
  /// By an arbiter that died.
  void take_over_owed(int bytes) { owed_ = bytes; }

 private:
  void apply(const core::Effect& effect);
  void grant(const core::Effect& effect, bool from_fifo);
  void put(int count);
  void drain(int count);
  void lend(int count);
  jobserver::Delivery deliver(const jobserver::Notification& call);
  void refuse(const core::Effect& effect);

  World world_;
  core::Instant event_{};
  std::size_t next_ = 0;
  std::vector<StoppedCall> unwritable_;  ///< reads that go on when all effects are carried out
  bool touched_ = false;
  int owed_ = 0;
};

}  // namespace tokenpool::arbiter
