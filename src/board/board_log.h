// The arbiter's pen: writes the board in an order that a reader survives whenever the pen drops.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <sys/types.h>

#include "board/board.h"
#include "control/billing.h"
#include "core/pool.h"

namespace tokenpool::board {

/// What an arbiter that died left on the board.
struct LeftBehind {
  std::vector<core::Account> accounts;  ///< without ancestors, which are read anew
  int owed = 0;
  int reserved = 0;  ///< tokens that were in neither FIFO nor ledger
  int lent = 0;      ///< to leases
  int minted = 0;
  int unseen = 0;                       ///< tokens taken by nobody knows whom
  std::vector<core::UnseenTake> takes;  ///< who may have taken them
  std::vector<UnseenCaller> callers;    ///< announced, and maybe under way
  std::size_t leases = 0;
  Settings settings;
  core::PoolCounters counters;
  std::optional<AnnouncedCall> given;  ///< this and the next three: see Announced
  bool answered = false;
  std::vector<AnnouncedCall> grants;
  int moving = 0;
  std::vector<jobserver::Notification> waiting;
  std::vector<pid_t> subreapers;
  std::optional<jobserver::Notification> received;  ///< last; may have been dealt with
};

class BoardLog {
 public:
  explicit BoardLog(Board* board) : board_(board) {}

  /// The first of all arbiters of the run says so.
  void begin_at(core::Instant now) {
    if (board_->begun_ns == 0) board_->begun_ns = now.count();
  }

  /// Where stopped calls are to be received.
  [[nodiscard]] jobserver::Receipt* receipt() { return &board_->receipt; }

  /// All accounts that matter, the debt, what is lent and to how many leases, and the counters, as
  /// they stand.
  /// `owed`: bytes that are to be taken out of the FIFO beside the pool's debt. `callers`: whose
  /// calls nobody sees.
  void publish(const core::Pool& pool, const Settings& settings, std::size_t leases, int owed,
               std::span<const UnseenCaller> callers);
  /// Each says what is about to be done; the next publish() tells that all of it is done. One give
  /// at the most is announced between two of them.
  /// The write of `call` is about to be answered, so that `call.who` has returned a token.
  void announce_give(const AnnouncedCall& call);
  /// It has been.
  void confirm_give();
  /// It was not: the writer is gone, or was interrupted and makes its call again.
  void revoke_give();
  /// The read of `call` is about to get the token that is booked to `call.who`.
  void announce_grant(const AnnouncedCall& call);
  /// It will not get the one that was announced last.
  void revoke_grant();
  /// So many more tokens than were published as lent, or fewer than were published as issued, are
  /// about to be taken out of the FIFO (else: to be put into it).
  void announce_move(const core::Pool& pool);
  /// The stopped reads that wait for a token, oldest first.
  void keep_waiting(const std::deque<core::Request>& requests,
                    const std::function<jobserver::Notification(core::RequestId)>& call_of);

  /// One that the next arbiter has to know, see Kinship::add_subreaper().
  void add_subreaper(pid_t pid);

  /// What limits of types hold from now on, also for the next arbiter; at most core::kMaxLimits.
  void keep_limits(const std::map<std::string, int>& limits);
  [[nodiscard]] std::map<std::string, int> limits() const;

  /// The command line of the process that the next recovery is about.
  void name_dead(core::ProcessId who, const std::string& command);
  /// A row for who ended with tokens that came back or moved to its jobs. One that only handed over
  /// what it had fetched for another process, or whose loan ended, lost none and gets none.
  void add_recovery(const core::Effect& effect, std::int64_t after_us);
  void add_refusal(core::ProcessId who, int count, const std::string& command);

  /// A row for a process that ignores the pool; answers its place, for release() and
  /// accuse_more(), which keeps the most.
  std::size_t accuse(const control::Accusation& accusation, const std::string& command);
  void accuse_more(std::size_t row, double cores);
  void release(std::size_t row, core::Instant now);

  /// A row for a process that keeps what others wait for while nothing moves. One that has a row
  /// with the same halted process and type keeps it, with the most that it held; one that keeps
  /// nothing and is halted needs no second row.
  void add_stuck(const StuckRow& stuck);
  /// A row for a user besides the one who runs; false when there is no room.
  bool add_user(const OtherUserRow& user);
  [[nodiscard]] std::vector<uid_t> users() const;
  /// Whether that is told for the first time.
  bool note_fifo_gone() { return !board_->fifo_gone.exchange(true); }
  void set_paused(bool paused) { board_->paused = paused; }

  /// The final figures. `all_ended`: no process of the build is left. `tracked`: the ledger knows
  /// who holds what; without it everything that is not in the FIFO counts as held by those that are
  /// left.
  void close(const core::Pool& pool, int in_fifo, bool all_ended, bool tracked);

  [[nodiscard]] LeftBehind left_behind() const;

 private:
  [[nodiscard]] AccountPage& page() {
    return board_->pages[board_->current.load(std::memory_order_relaxed)];
  }

  Board* board_;
  core::ProcessId named_;
  std::string name_;
};

}  // namespace tokenpool::board
