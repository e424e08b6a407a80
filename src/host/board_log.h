// The arbiter's pen: writes the board in an order that a reader survives whenever the pen drops.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "core/billing.h"
#include "core/pool.h"
#include "host/board.h"

namespace tokenpool::host {

/// What an arbiter that died left on the board.
struct LeftBehind {
  std::vector<core::Account> accounts;  ///< without ancestors, which are read anew
  int owed = 0;
  int reserved = 0;  ///< tokens that were in neither FIFO nor ledger
  int lent = 0;      ///< to leases
  int minted = 0;
  std::size_t leases = 0;
  int lending = 0;  ///< see Board::lending
  Settings settings;
  core::PoolCounters counters;
  Step step = Step::none;
  jobserver::Notification under_way;
  std::vector<jobserver::Notification> waiting;
};

class BoardLog {
 public:
  explicit BoardLog(Board* board) : board_(board) {}

  /// The first of all arbiters of the run says so.
  void begin_at(core::Instant now) {
    if (board_->begun_ns == 0) board_->begun_ns = now.count();
  }

  /// Says what is about to be done for `call`, and that it is done.
  void begin(Step step, const jobserver::Notification& call);
  void end_step();

  /// All accounts that matter, the debt, what is lent and to how many leases, and the counters, as
  /// they stand.
  /// `owed`: bytes that are to be taken out of the FIFO beside the pool's debt.
  void publish(const core::Pool& pool, const Settings& settings, std::size_t leases, int owed);
  /// So many more tokens than were published as lent, or fewer than were published as issued, are
  /// about to be taken out of the FIFO (else: to be put into it). The next publish() tells that it
  /// is done.
  void announce_move(const core::Pool& pool);
  /// The stopped reads that wait for a token, oldest first.
  void keep_waiting(const std::deque<core::Request>& requests,
                    const std::function<jobserver::Notification(core::RequestId)>& call_of);

  /// The command line of the process that the next recovery is about.
  void name_dead(core::ProcessId who, const std::string& command);
  /// A row for who ended with tokens that came back or moved to its jobs. One that only handed over
  /// what it had fetched for another process, or whose loan ended, lost none and gets none.
  void add_recovery(const core::Effect& effect, std::int64_t after_us);
  void add_refusal(core::ProcessId who, int count, const std::string& command);

  /// A row for a process that ignores the pool; answers its place, for release() and
  /// accuse_more(), which keeps the most.
  std::size_t accuse(const core::Accusation& accusation, const std::string& command);
  void accuse_more(std::size_t row, double cores);
  void release(std::size_t row, core::Instant now);

  /// A row for a process that keeps slots while nothing moves; pid 0: nobody knows who. One that
  /// has a row keeps it, with the most that it held.
  void add_stuck(std::int32_t pid, int held, const std::string& command);

  /// The final figures. `all_ended`: no process of the build is left. `tracked`: the ledger knows
  /// who holds what; without it everything that is not in the FIFO counts as held by those that are
  /// left.
  void close(const core::Pool& pool, int in_fifo, bool all_ended, bool tracked);

  [[nodiscard]] LeftBehind left_behind() const;

 private:
  Board* board_;
  core::ProcessId named_;
  std::string name_;
};

}  // namespace tokenpool::host
