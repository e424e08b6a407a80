// Carries out what the pool of tokens has decided: on the FIFO, for the clients whose calls are
// stopped, and for the leases.
#pragma once

#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "core/pool.h"
#include "host/board_log.h"
#include "host/conservation.h"
#include "host/run_leases.h"
#include "host/stopped_calls.h"
#include "jobserver/fifo.h"
#include "jobserver/seccomp.h"

namespace tokenpool::host {

/// One thread, the arbiter's. Neither copies nor moves.
class Carrier {
 public:
  /// All outlive it.
  struct World {
    core::Pool& pool;
    core::Effects& effects;  ///< of `pool`; empty when they are carried out
    const jobserver::Fifo& fifo;
    const std::optional<jobserver::Listener>& listener;
    BoardLog& log;
    Conservation& books;
    RunLeases& leases;
    StoppedCalls& waiting;
    bool tracked = false;             ///< calls are seen
    WriteRequest* write = nullptr;    ///< through the front
    std::function<bool()> ask_front;  ///< to look at `write`
    std::function<bool()> front_lives;
  };
  explicit Carrier(World world) : world_(std::move(world)) {}
  Carrier(const Carrier&) = delete;
  Carrier& operator=(const Carrier&) = delete;

  /// All effects that there are, and those that this leads to. `event`: when it happened.
  void carry_out(core::Instant event);
  /// Bytes that are to be in the FIFO as far as the pool goes. One of them may be kept back here
  /// for the next that is granted, as long as another one is there to see: so nobody who polls
  /// misses it, and a token that one client takes and returns again and again stays out of the
  /// FIFO.
  [[nodiscard]] int level() const { return world_.fifo.level() + kept_; }
  /// The one that is kept back; not in the FIFO, as what Pool::reserved() counts.
  [[nodiscard]] int kept() const { return kept_; }
  /// When it has to be put there at the latest, by show_late().
  [[nodiscard]] std::optional<core::Instant> due() const { return show_due_; }
  void show_late(core::Instant now);
  /// Puts it there now.
  void show();
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
  /// Out of what is kept back and out of the FIFO; answers how many there were.
  int take(int count);
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
  int kept_ = 0;
  core::Instant kept_since_{};
  std::optional<core::Instant> show_due_;
};

}  // namespace tokenpool::host
