// The ledger: which process holds how many tokens, and what becomes of them when it ends.
//
// Its five rules (DESIGN.md):
//  1. A balance per process.
//  2. Killed or failed while holding h: its surviving children were its jobs, so min(h, children)
//     tokens move to them, one each, until they end; the rest is free at once.
//  3. Ended with success while holding: the tokens of a helper (a `dd` or `head -c1` that fetched
//     one for its shell) pass to the nearest living ancestor inside the build. Those of a process
//     that returned others before, or below a client (make asks for its own), or without an
//     ancestor are free. In what it is suspected of, that ancestor takes its place. A loan (rule 4)
//     passes to that ancestor, too, for which a helper made it, unless that one settles its debts
//     itself, or the helper has returned more than that.
//  4. A return by a process that holds nothing settles the debt of its nearest holding ancestor,
//     unless that one takes and returns its tokens itself (a job of make that writes a token does
//     not return the one that make holds for it, or make would return it again), else of a holding
//     descendant that is no client, else it lends the implicit slot of the process (own == -1,
//     once; taken out again at its end). Beyond that it is an over-return: refused. One that nobody
//     saw settles, before it lends, the debt of any holder that is no client: that one may have
//     passed its token on to this one through the FIFO, between two looks. Neither after a token
//     came back from one that had ended and was no client: that one may have passed it on before,
//     and then this is the return of what is free already.
//  5. What is out is always exactly what the accounts say: outstanding() never drifts.
//
// Calls that nobody saw (a shell's read on descriptor 0) are found by conservation and booked to
// the set of processes that had the FIFO open (one alone is no suspect but the holder): an unseen
// take, which an unseen return settles and which comes back when the last process of its set has
// ended.
//
// Pure: no I/O, no clock, no thread. One thread at a time. Nothing here throws but std::bad_alloc.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "core/process_id.h"
#include "core/suspects.h"

namespace tokenpool::core {

struct Account {
  ProcessId who;
  int own = 0;            ///< tokens taken less tokens returned; -1: its implicit slot is lent
  int inherited = 0;      ///< tokens of a dead client whose job this process is
  bool client = false;    ///< takes tokens itself, by calls that are seen, or is known to by name
  bool returns = false;   ///< tokens itself: it has done so, or is known to by name
  bool overpaid = false;  ///< it has returned what was refused: it does not know what it has
  std::vector<ProcessId> ancestors;  ///< inside the build, nearest first

  /// What its jobs write is then not the return of what it holds for them.
  [[nodiscard]] bool settles_itself() const { return client && returns; }
  [[nodiscard]] int held() const { return (own > 0 ? own : 0) + inherited; }
  friend bool operator==(const Account&, const Account&) = default;
};

enum class GiveOutcome : std::uint8_t {
  settled,     ///< it held the token itself
  inherited,   ///< it was a dead client's job and returned the token that it ran on
  ancestor,    ///< settled the debt of an ancestor
  descendant,  ///< settled the debt of a descendant
  unseen,      ///< settled an unseen take that it was suspected of
  lent,        ///< lent its implicit slot
  refused,     ///< over-return: the token must not enter the pool
};

struct EndOutcome {
  int held = 0;       ///< what it held, own and inherited, unseen takes left out
  int inherited = 0;  ///< of `held`
  int freed = 0;      ///< tokens that are free now; includes `unseen`
  int unseen = 0;     ///< of `freed`: unseen takes whose last suspect it was
  int withdraw =
      0;  ///< 1: it had lent its implicit slot, which must be taken out of the pool again
  std::vector<ProcessId> moved_to;     ///< rule 2: each got one token
  std::optional<ProcessId> passed_to;  ///< rule 3: got all `held - freed`, or the loan
  friend bool operator==(const EndOutcome&, const EndOutcome&) = default;
};

class Ledger {
 public:
  /// Opens an account (all zero) unless there is one. `ancestors`: inside the build, nearest first,
  /// without `who`; cut at kMaxAncestors. Every process named in any other call's `who` must have
  /// been introduced. At kMaxAccounts it drops one that concerns nobody (any), if there is one; a
  /// process dropped so is taken up again, without ancestors, when it takes or returns a token.
  /// `client`: its name says that it takes and returns its tokens itself.
  void introduce(ProcessId who, std::span<const ProcessId> ancestors, bool client = false);
  [[nodiscard]] bool knows(ProcessId who) const;
  /// Nullptr where there is no account. Valid until the next call that changes the ledger.
  [[nodiscard]] const Account* find(ProcessId who) const;

  /// A token was handed to `who`.
  void take(ProcessId who);
  /// Undoes a take() whose token never reached `who` (it died or was interrupted meanwhile).
  /// Nothing else may have been booked in between.
  void untake(ProcessId who);
  /// `who` returned one token. `may_lend`: whether the pool has room for a lent slot. Everything
  /// but `refused` means that one token is free now. Settled in this order: what it took, an unseen
  /// take that it alone is suspected of, what a child of it fetched, another that it is suspected
  /// of, what it inherited; what its ancestors owe, nearest first; what its nearest descendant
  /// holds, else is suspected of; a loan. Ancestors that settle their debts themselves are left
  /// out, and so are descendants that are clients.
  [[nodiscard]] GiveOutcome give(ProcessId who, bool may_lend);

  /// `count` tokens left unseen while `openers` had the FIFO open. Processes that are known to make
  /// calls that are seen (Account::client) are suspected only if there is nobody else. A
  /// single suspect has them, if it is `certain` that it was one of the openers: they are booked to
  /// its account. With no opener at all nobody can ever return them: the answer is `count`, which
  /// are free at once; else 0.
  [[nodiscard]] int unseen_take(int count, std::span<const ProcessId> openers, bool certain = true);
  /// It is known now that `who` has one of the unseen takes that it is suspected of (of those with
  /// the fewest suspects): it is booked to its account. False: it is suspected of none.
  bool attribute(ProcessId who);
  /// `count` tokens came back unseen while `openers` had the FIFO open. Settles unseen takes with a
  /// suspect among the openers; then the accounts of openers that hold and are no clients (whose
  /// own returns are seen); any unseen take; openers that hold; anybody that holds, clients last.
  /// A single opener that did it for `certain`: as in give(), but before it lends it settles what
  /// may have been passed on to it. `may_lend`: of the first of them. Answers how many of them were
  /// owed by nobody: over-returns.
  [[nodiscard]] int unseen_return(int count, std::span<const ProcessId> openers,
                                  bool certain = true, bool may_lend = false);

  /// `who` ended; its account is closed. `survivors`: its children that live. `heir`: its nearest
  /// living ancestor inside the build. Both must have been introduced. What `who` inherited passes
  /// to no heir: its job is done. `unknown` counts as `killed` when there are survivors or when its
  /// own calls were seen (a client, not a helper that fetched one for its shell), else as
  /// `succeeded`.
  [[nodiscard]] EndOutcome end(ProcessId who, EndCause cause, std::span<const ProcessId> survivors,
                               std::optional<ProcessId> heir);

  /// The whole build is gone: every account and unseen take is closed. Answers the tokens freed,
  /// lent slots not set off.
  [[nodiscard]] int end_all();

  /// Tokens out: the sum of all balances and unseen takes. Negative when more is lent than taken.
  [[nodiscard]] int outstanding() const { return outstanding_; }
  [[nodiscard]] const std::unordered_map<ProcessId, Account, ProcessIdHash>& accounts() const {
    return accounts_;
  }
  [[nodiscard]] const std::vector<UnseenTake>& unseen() const { return unseen_.takes(); }
  /// Whether `who` has a balance or is suspected of an unseen take: its end changes something.
  [[nodiscard]] bool concerns(ProcessId who) const;

  /// Of an unseen take.
  [[nodiscard]] bool is_suspect(ProcessId who) const { return unseen_.includes(who); }

  /// Those below `who` that concerns() is true of.
  [[nodiscard]] std::vector<ProcessId> holders_below(ProcessId who) const;

  /// For a new arbiter that goes on where a dead one stopped: sets the balance of an account.
  void restore(ProcessId who, int own, int inherited, bool client, bool returns);
  /// ... and adds an unseen take; without a suspect that has an account it is left out.
  void restore_unseen(UnseenTake take);

 private:
  Account& account(ProcessId who);
  std::optional<GiveOutcome> settle(Account* giver);
  std::optional<GiveOutcome> settle_own(Account* giver);
  std::optional<GiveOutcome> settle_ancestor(const Account& giver);
  std::optional<GiveOutcome> settle_descendant(ProcessId giver);
  bool settle_child(ProcessId giver);
  static bool lend(Account* lender);
  bool settle_unseen_return(std::span<const ProcessId> openers);
  bool settle_passed_on(std::span<const ProcessId> openers, bool of_clients);
  /// For the holder with the lowest identity of those meant, so that the choice does not depend on
  /// the order of a hash table.
  bool pay_first(const std::function<bool(const Account&)>& is_meant);

  std::unordered_map<ProcessId, Account, ProcessIdHash> accounts_;
  Suspects unseen_;
  int outstanding_ = 0;
  int doubtful_ = 0;  ///< tokens that came back from those that had ended: somebody may have them
};

}  // namespace tokenpool::core
