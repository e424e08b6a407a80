// Leases: who of those that ask over the protocol gets how many slots, and when.
//
// A pure state machine beside core/pool.h, which does the same for tokens. It is supplied with
// slots (by `serve`, with all there are; by `run`, with tokens, see core/balance.h) and hands them
// out.
//     free + sum over the leases of (slots - paid) == supply
// `free` is negative only while slots of those that wait are lent, after leases were resumed or
// the supply was lowered, or when a lease has ended or shrunk that had paid for others while so
// much was missing. Only what those that wait can lend is granted then.
//
// POLICY
//  * In line: higher priority first, then who came first; kPriorityStep of waiting count as one
//    point, so that nobody starves. A request that does not fit lets others pass. One that has
//    been first (of those that no limit of their type blocks) for kReservationAfter gets a
//    reservation: it stays first, and another is granted only what leaves the slots that it needs.
//    So wide requests wait no longer than the leases before them last.
//  * Who asks for a range gets an equal part of what is free for each that waits, at least its
//    `min`.
//  * A limit of a type counts leases (jobs), not slots.
//  * A job runs on one slot whoever took it. `Payer` names who may have paid for (part of) a lease:
//    a client of the GNU make jobserver that holds tokens for its children, a lease that the asker
//    runs under, or the implicit slot of a run's command. As far as the payer covers more than is
//    used of it, a lease is `paid` for and costs nothing. A client of the jobserver pays one slot
//    for each child, all jobs below it together. What a lease that ends paid for costs from then
//    on. What is left over when nobody who waits has a payer, or slots are owed, pays for leases
//    that run, the oldest first.
//  * Who waits lends: its job has not begun, so the slot that was paid for it is idle. Where free
//    slots do not suffice, the first in line gets its `min` with one of each that waits.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/lease.h"

namespace tokenpool::core {

class LeasePool {
 public:
  /// How many jobs a payer of Kind::root or Kind::process covers now, all children together. Pure,
  /// as seen from here.
  using Cover = std::function<int(const Payer&)>;

  /// `ceiling`: the most slots that there will be, 1..kMaxSlots. Nothing is supplied yet. Leases
  /// are numbered from `first_id`. All but find() want the LeaseId of a lease that exists.
  LeasePool(int ceiling, LeaseId first_id, Cover cover);

  /// `request.since` becomes `now`. Answers at the deadline at the latest. A request for more than
  /// there will be for it, or of a type whose limit is 0, is impossible. The caller bounds how many
  /// there are.
  void request(LeaseRequest request, Instant now, LeaseEffects* effects);
  /// Whether it still waited; then it is gone without an effect.
  bool cancel(Ticket ticket, Instant now, LeaseEffects* effects);

  /// Gives back `slots` (0 or more than it has: all). Answers what is left; at 0 it is gone.
  int release(LeaseId id, int slots, Instant now, LeaseEffects* effects);
  /// To as many slots in min..max as can be had at once: more than it has only while nobody waits.
  /// Nothing: not even `min`, and the lease is as it was.
  std::optional<int> resize(LeaseId id, int min, int max, Instant now, LeaseEffects* effects);
  /// The lease belongs to `owner` from now on; nothing: to its session.
  void hand_to(LeaseId id, std::optional<ProcessId> owner);

  /// A client declares a lease of which this pool may know nothing: its job runs, so it counts even
  /// beyond what there is. One that is known passes to `lease.session`; then its other members
  /// stay. `lease.paid` is found anew. Answers its number, a new one where the declared one is 0.
  LeaseId resume(Lease lease, Instant now, LeaseEffects* effects);

  /// The connection is closed, or the process behind it has ended: its requests are gone, its
  /// leases too, but for those that belong to a process.
  void session_ended(SessionId session, Instant now, LeaseEffects* effects);
  /// The leases that belong to `owner` end, as if released where their session goes on; what was
  /// asked for it will belong to the session.
  void owner_ended(ProcessId owner, Instant now, LeaseEffects* effects);
  /// An operator knows better: the lease ends as if its owner had.
  void end_lease(LeaseId id, Instant now, LeaseEffects* effects);

  void set_ceiling(int slots, Instant now, LeaseEffects* effects);
  /// As one change. False, and nothing is changed, where more than kMaxLimits types would have one.
  bool set_limits(const Limits& changes, Instant now, LeaseEffects* effects);
  void set_paused(bool paused, Instant now, LeaseEffects* effects);
  /// Nothing is granted until then, or until `expected` leases are resumed (0: nobody knows how
  /// many there are): there was a pool before, of which clients may hold leases.
  void set_grace(Instant until, std::size_t expected = 0);
  [[nodiscard]] bool in_grace() const { return grace_until_.has_value(); }
  [[nodiscard]] bool had_grace() const { return had_grace_; }
  /// So many of the ceiling are the command's of a run: nobody gets them but by a payer.
  void set_implicit(int slots) { implicit_ = slots; }

  /// `slots` more (or fewer) to hand out.
  void supply(int slots, Instant now, LeaseEffects* effects);
  /// What a payer covers may have become more.
  void reconsider(Instant now, LeaseEffects* effects) { settle(now, effects); }
  void advance(Instant now, LeaseEffects* effects);
  [[nodiscard]] std::optional<Instant> next_deadline() const;

  /// --- for core/balance.h ---
  /// From now on only what supply() has brought is granted. What leases give back is surplus(), so
  /// that whoever waits for a token can have it, too. A request is granted by the next supply() or
  /// reconsider(), so that it can be supplied before, even if its payer covers its `min`; one that
  /// does not wait is answered by the next advance() at the latest.
  void share() { shared_ = true; }
  /// Of `available` further slots, how many would be put to use at once?
  [[nodiscard]] int useful(int available, Instant now) const;
  /// For whom the next single slot would be kept or used; nothing: for nobody.
  [[nodiscard]] std::optional<LeaseDemand> demand(Instant now) const;
  /// Free slots that nobody who waits can use, and those that are to be shared.
  [[nodiscard]] int surplus(Instant now) const;
  /// So many of the supply are to go back: there are fewer than before.
  void set_owed(int slots) { owed_ = slots; }

  [[nodiscard]] const Lease* find(LeaseId id) const;
  [[nodiscard]] int free() const { return free_; }
  [[nodiscard]] int leased() const { return leased_; }  ///< slots out, without those paid for
  [[nodiscard]] int ceiling() const { return ceiling_; }
  [[nodiscard]] bool paused() const { return paused_; }
  [[nodiscard]] const std::unordered_map<LeaseId, Lease>& leases() const { return leases_; }
  /// In line, without regard to a reservation.
  [[nodiscard]] std::vector<const LeaseRequest*> waiting() const;
  [[nodiscard]] std::size_t waiting_count() const { return waiting_.size(); }
  [[nodiscard]] const std::map<std::string, int>& limits() const { return limits_; }
  [[nodiscard]] std::size_t count_of(SessionId session) const;
  /// Any lease of a session, or that belongs to a process; 0: there is none.
  [[nodiscard]] LeaseId any_of(SessionId session) const;
  [[nodiscard]] LeaseId any_of(ProcessId owner) const;
  [[nodiscard]] int jobs_of_type(const std::string& type) const;
  [[nodiscard]] const LeaseCounters& counters() const { return counters_; }

 private:
  using Place = std::pair<Instant, Ticket>;  ///< in line: see place_of()
  struct Grant {
    Place place;
    int slots = 0, paid = 0;
  };
  /// What is left while grants are planned.
  struct Outlook;

  static Place place_of(const LeaseRequest& request);
  [[nodiscard]] std::vector<Grant> plan(int free, Instant now) const;
  [[nodiscard]] std::optional<Grant> fit(const Place& place, const LeaseRequest& request,
                                         const Outlook& outlook, int others) const;
  [[nodiscard]] std::optional<Grant> fit_first(const Place&, const LeaseRequest&,
                                               const Outlook&) const;
  [[nodiscard]] bool grants_now(Instant now) const;
  [[nodiscard]] std::optional<Place> first_in_line() const;
  [[nodiscard]] int unused(const Payer& payer) const;
  [[nodiscard]] int unused_of_account(const Payer& account) const;
  static void for_accounts(const Payer& payer, const std::function<void(const Payer&)>& visit);
  [[nodiscard]] bool is_impossible(const LeaseRequest& request) const;
  [[nodiscard]] int grantable() const { return free_ < 0 ? free_ : in_hand_; }
  void settle(Instant now, LeaseEffects* effects);
  void grant(const Grant& grant, Instant now, LeaseEffects* effects);
  void book(const Lease& lease);
  void unbook(const Lease& lease);
  bool pay_running();
  void end(LeaseId id, LeaseEffects* effects, LeaseEnd cause);
  void close(LeaseId id);
  void uncover(LeaseId payer, int covered);
  LeaseId new_id();
  void reserve(Instant now);
  void watch_first(Instant now);
  LeaseRequest take_waiting(const Place& place);
  void refuse_impossible(LeaseEffects* effects);
  void check() const;

  int ceiling_, implicit_ = 0;
  LeaseId next_id_;
  Cover cover_;
  int free_ = 0;
  int in_hand_ = 0;  ///< of free_, what may be granted
  int supply_ = 0, owed_ = 0, leased_ = 0;
  bool paused_ = false, shared_ = false, had_grace_ = false;
  std::optional<Instant> grace_until_;
  std::size_t expected_ = 0;  ///< of leases that are resumed, the last that ends the grace
  std::unordered_map<LeaseId, Lease> leases_;
  std::unordered_map<SessionId, std::set<LeaseId>> of_session_;
  std::unordered_map<ProcessId, std::set<LeaseId>, ProcessIdHash> of_owner_;
  std::unordered_map<ProcessId, int, ProcessIdHash> held_;  ///< cost, by client
  std::map<Payer, int> used_;        ///< slots paid for, by payer and by account of one
  std::set<LeaseId> unpaid_;         ///< leases that cost although they have a payer
  std::map<std::string, int> jobs_;  ///< leases, by type
  std::map<std::string, int> limits_;
  std::map<Place, LeaseRequest> waiting_;
  std::unordered_map<Ticket, Place> places_;
  std::unordered_map<SessionId, std::set<Ticket>> asked_by_;
  std::unordered_map<ProcessId, std::set<Ticket>, ProcessIdHash> asked_for_;  ///< by owner
  std::set<std::pair<Instant, Ticket>> deadlines_;
  std::size_t waiting_for_payers_ = 0;              ///< of waiting_, those with a payer
  std::optional<std::pair<Place, Instant>> first_;  ///< and since when
  std::optional<Place> reserved_;
  LeaseCounters counters_;
};

}  // namespace tokenpool::core
