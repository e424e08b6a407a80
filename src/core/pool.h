// The pool: who gets the next token.
//
// A pure state machine over the ledger. The host tells it what happened (a read, a return, a death,
// a FIFO level that does not fit) and carries out the effects that it answers, in their order.
//
// Where a token can be: in the FIFO (free), kept back for one client (reserved), lent to the pool
// of leases (core/lease_pool.h, which competes as a reader that blocks), or out (ledger).
//     free + reserved + lent + outstanding == issued + minted + owed   and   0 <= free <= issued +
// minted + 1 (the implicit slot of the run, lent). `owed` counts lent slots whose lender died while
// the pool was empty: the next token that comes free is swallowed for each. A token that comes free
// while the FIFO is full (several lend) is kept back until there is room; reserved() counts it.
// Both are checked after every call, in all builds.
//
// POLICY: fair share, no client starves.
//  * Clients compete by what they hold now: of those that wait, the one with the fewest tokens is
//    served first, among equals the one that waited longest.
//  * A reader whose read blocks is seen waiting. A poller (make's pselect, ctest's epoll, a shell's
//    own read) is not: the kernel wakes it when a byte lies in the FIFO. So while readers block,
//    every second token that comes free is offered in the FIFO for kOfferWindow first. An offer
//    that nobody claims goes to the blocked reader and doubles the gap to the next offer (at most
//    kMaxOfferGap); a claimed one brings the gap back to every second token. During an offer a
//    non-blocking read by a client that holds more than the waiting reader is refused (EAGAIN) and
//    the reader served.
//  * A client that neither blocks nor polls (ninja <= 1.13) only asks when one of its jobs ends and
//    would never meet a free token. After two blind asks in a row (nothing visible for kBlindAfter)
//    by a client that holds nothing while others hold something, the next token that comes free
//    is reserved for it, outside the FIFO, for twice its own interval between asks within
//    [kMinReservation, kMaxReservation]. One reservation per ask; one that lapses is free again.
//    The same is done for any client that holds nothing and was refused kMaxPassed times in a row.
//  * A poller that has just returned a token (kPolite) and takes one again while it holds more than
//    another active client is refused once (EAGAIN), so that the others get to look first. Clients
//    known to ask blindly are exempt: they would not come back.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "core/asker.h"
#include "core/effect.h"
#include "core/ledger.h"
#include "core/process_id.h"
#include "core/stuck_holders.h"
#include "core/unseen_moves.h"

namespace tokenpool::core {

class Pool {
 public:
  /// `issued` tokens, 0 <= issued < kMaxSlots, all of them in the FIFO.
  explicit Pool(int issued);

  /// See Ledger::introduce. Must precede every other mention of a process.
  void introduce(ProcessId who, std::span<const ProcessId> ancestors, bool client = false);

  /// A client reads one token. Answers at once with a grant or a refusal, or later with a grant.
  void request(const Request& request, Instant now, Effects* effects);
  /// Whether request() will grant `who` a token at once, be its read blocking or not.
  [[nodiscard]] bool grants_at_once(ProcessId who, Instant now) const;
  /// The reader of `id` is gone or was interrupted. No-op for one already answered.
  void cancel(RequestId id, Instant now, Effects* effects);
  /// The grant of `request` could not be carried out. The booking is undone; the token stays in the
  /// pool (caller_gone) or is left to drift() to find (byte_missing: the read waits on in front of
  /// the queue, or is refused when it does not block; next_deadline() is then `now`). To be told
  /// while the effects are carried out, before the next event. No-op when the account of the caller
  /// is closed already: ended() has freed the token.
  void grant_failed(const Request& request, bool from_fifo, GrantFailure failure, Instant now,
                    Effects* effects);
  /// `who` returned `count` tokens; none of them is in the FIFO yet.
  void give(ProcessId who, int count, Instant now, Effects* effects);
  /// Bytes in the FIFO less the bytes that there should be. The host asks this before each event
  /// and whenever the FIFO was touched by somebody else; when it is not zero, it calls unseen().
  [[nodiscard]] int drift(int bytes_in_fifo) const { return bytes_in_fifo - free_; }
  /// What was taken and returned since then, drift() more returned than taken.
  void unseen(std::span<const UnseenMove> taken, std::span<const UnseenMove> returned, Instant now,
              Effects* effects);
  /// The same where one of `openers` did it all.
  void unseen(int drift, const std::vector<ProcessId>& openers, bool certain, Instant now,
              Effects* effects);
  /// See Ledger::attribute.
  void attribute(ProcessId who) { ledger_.attribute(who); }

  /// `who` ended, see Ledger::end. Its waiting reads are dropped. No-op for a stranger.
  void ended(ProcessId who, EndCause cause, std::span<const ProcessId> survivors,
             std::optional<ProcessId> heir, Instant now, Effects* effects);
  /// No process of the build is left: every token is recovered. Afterwards free() == issued().
  void all_ended(Instant now, Effects* effects);
  /// Lends `count` <= lendable() tokens to the leases, see Effect::Kind::lend_from_fifo.
  void lend(int count, Instant now, Effects* effects);
  /// So many bytes of a lend_from_fifo were not there. As with grant_failed(), drift() is to be
  /// asked before the next event (balance() is one), and finds who was faster.
  void lend_failed(int count);
  /// `count` lent tokens come back.
  void repay(int count, Instant now, Effects* effects);
  /// Waits for one token on behalf of a lease of `who`, which has `held` slots, since `since`.
  /// One such wait at a time: another replaces it, stop_borrowing() ends it.
  void borrow(ProcessId who, int held, Instant since, Instant now, Effects* effects);
  void stop_borrowing(Instant now, Effects* effects);
  [[nodiscard]] const Request* borrowing() const;
  /// Tokens that nobody who reads would miss, and that are not on offer to those who poll.
  [[nodiscard]] int lendable() const { return waiting_.empty() && !offer_until_ ? free_ : 0; }
  [[nodiscard]] int lent() const { return lent_; }
  /// Changes how many tokens there are, 0 <= issued < kMaxSlots. Too many end as they come back.
  void set_issued(int issued, Instant now, Effects* effects);
  /// `count` tokens beside those that were issued, in place of as many that are held now and will
  /// not come back. For each of these that does come back one is taken out of the pool again; where
  /// nobody's calls are `tracked`, by unmint().
  void mint(int count, bool tracked, Instant now, Effects* effects);
  /// `count` <= minted() are taken out again: free ones, else those that come free next.
  void unmint(int count, Instant now, Effects* effects);
  [[nodiscard]] int minted() const { return minted_; }

  /// Carries out what is due by `now`; call it at next_deadline() or later.
  void advance(Instant now, Effects* effects);
  [[nodiscard]] std::optional<Instant> next_deadline() const;

  [[nodiscard]] int issued() const { return issued_; }
  [[nodiscard]] int free() const { return free_; }
  [[nodiscard]] int reserved() const { return static_cast<int>(reservations_.size()) + spare_; }
  [[nodiscard]] int owed() const { return owed_; }
  /// Tokens that nobody accounts for, by the equation above. Always 0.
  [[nodiscard]] int missing() const;
  [[nodiscard]] const Ledger& ledger() const { return ledger_; }
  [[nodiscard]] const PoolCounters& counters() const { return counters_; }
  [[nodiscard]] const std::deque<Request>& waiting() const { return waiting_; }

  /// A new arbiter goes on where a dead one stopped: `accounts` as they stood, `owed`, `lent`,
  /// `minted`, and counters; every token that they do not explain is taken to be in the FIFO (the
  /// first unseen() corrects that). Tokens that were reserved when it died were in its memory: the
  /// host puts reserved() bytes, as they stood, into the FIFO before. Only on a pool that has seen
  /// no event.
  void restore(std::span<const Account> accounts, std::span<const UnseenTake> unseen, int owed,
               int lent, int minted, const PoolCounters& counters);

 private:
  /// Refusals in a row after which an asker that holds nothing gets a reservation, blind or not: it
  /// bounds how often anybody can be passed. Seven lost races are bad luck, eight are starvation.
  static constexpr int kMaxPassed = 8;
  // pool.cc: where tokens go.
  void grant(const Request& request, bool from_fifo, Effects* effects);
  void lend_one(bool from_fifo, Effects* effects);
  [[nodiscard]] int out() const { return ledger_.outstanding() + lent_; }
  [[nodiscard]] int capacity() const { return issued_ + minted_; }
  [[nodiscard]] int most_free() const { return capacity() + 1; }
  [[nodiscard]] bool may_lend() const { return owed_ == 0 && free_ + reserved() < most_free(); }
  void take_out_minted(Effects* effects);
  void place(int count, Instant now, Effects* effects);
  bool pay_debt();
  void withdraw(Effects* effects);
  void begin(Instant now);
  void finish(Instant now, Effects* effects);
  void check() const;
  Request take_waiting(std::size_t index);
  void forget(ProcessId who);

  // fairness.cc: who is next.
  [[nodiscard]] int held(ProcessId who) const;
  [[nodiscard]] int held(const Request& request) const;
  [[nodiscard]] bool before(const Waiter& wanter, std::size_t reader) const;
  [[nodiscard]] std::optional<std::size_t> next_reader() const;
  [[nodiscard]] std::optional<std::size_t> next_wanter() const;
  Asker& note_ask(const Request& request, Instant now);
  void note_refusal(ProcessId who, Asker* asker, Instant now);
  [[nodiscard]] bool may_be_polite(const Asker& asker, Instant now) const;
  [[nodiscard]] bool polite(ProcessId who, Asker* asker, Instant now);
  void stop_wanting(ProcessId who);
  void forget_asker(ProcessId who);
  void reserve(std::size_t wanter, Instant now);
  [[nodiscard]] bool take_reservation(ProcessId who);
  [[nodiscard]] bool offer_is_due() const;
  void close_offer(bool claimed);
  void serve_reader_from_fifo(Effects* effects);

  int issued_;
  int free_;
  int owed_ = 0;
  int lent_ = 0;
  int minted_ = 0;
  StuckHolders stuck_;  ///< since the last token was minted
  int spare_ = 0;       ///< came free while the FIFO was full
  Ledger ledger_;
  PoolCounters counters_;
  std::deque<Request> waiting_;  ///< blocking reads, oldest first, and a wait for a lease
  std::deque<Instant> since_;    ///< of waiting_, in step with it
  std::vector<Waiter> wanting_;  ///< blind askers that the next free token may be reserved for
  std::vector<Reservation> reservations_;
  std::unordered_map<ProcessId, Asker, ProcessIdHash> askers_;
  std::vector<ProcessId> active_;  ///< asked within kActive or not yet found idle
  std::optional<Instant> offer_until_;
  std::optional<Instant> recheck_at_;  ///< a reader waits although free_ > 0: a byte was missing
  int offer_gap_ = 1;                  ///< tokens that skip the FIFO between two offers
  int offer_skip_ = 0;
  Instant last_visible_{};  ///< when the FIFO last held a byte
};

}  // namespace tokenpool::core
