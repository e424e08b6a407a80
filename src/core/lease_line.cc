// The part of the pool of leases that decides who is next; the policy is stated in lease_pool.h.
#include <algorithm>

#include "core/check.h"
#include "core/lease_pool.h"
#include "core/limits.h"

namespace tokenpool::core {

// What pays for a lease: one slot for a child of a client, out of all that the client has paid for.
void LeasePool::for_accounts(const Payer& payer, const std::function<void(const Payer&)>& visit) {
  if (payer.kind == Payer::Kind::nobody) return;
  visit(payer);
  if (payer.child.pid != 0) visit({payer.kind, payer.process, 0});
}

struct LeasePool::Outlook {
  const LeasePool& pool;
  int free = 0;                       ///< and in hand
  int shared = 0;                     ///< free, but to be shared: only who borrows gets it
  int kept = 0;                       ///< of `free`, for the request with the reservation
  int claimed = 0;                    ///< of what pays for that one; it is not unused any more
  std::map<std::string, int> jobs{};  ///< more leases than there are now, by type
  std::map<Payer, int> unused{};      ///< what accounts still cover, as far as it was asked
  std::set<Place> granted{};          ///< of those in line

  /// Who borrows takes of `shared` first; what is more than that is lent.
  void spend(int slots) {
    const int of_shared = std::clamp(slots - std::max(0, free), 0, shared);
    shared -= of_shared;
    free -= slots - of_shared;
  }
  [[nodiscard]] int paid(int slots, const Payer& payer) const {
    int most = payer.kind == Payer::Kind::nobody ? 0 : slots;
    for_accounts(payer, [&](const Payer& account) {
      const auto entry = unused.find(account);
      most = std::min(most, entry == unused.end() ? 0 : std::max(0, entry->second));
    });
    return most;
  }
  void use(int paid, const Payer& payer) {
    for_accounts(payer, [&](const Payer& account) { unused[account] -= paid; });
  }
  void look_at(const Payer& payer) {
    for_accounts(payer, [&](const Payer& account) {
      if (!unused.contains(account)) unused.emplace(account, pool.unused_of_account(account));
    });
  }
  [[nodiscard]] bool is_blocked(const std::string& type) const {
    const auto limit = pool.limits_.find(type);
    if (limit == pool.limits_.end()) return false;
    const auto more = jobs.find(type);
    return pool.jobs_of_type(type) + (more == jobs.end() ? 0 : more->second) >= limit->second;
  }
  /// Rather than to be refused at once.
  static bool waits(const LeaseRequest& request) {
    return !request.deadline || *request.deadline > request.since;
  }
  [[nodiscard]] bool can_be_first(const LeaseRequest& request) const {
    return waits(request) && !is_blocked(request.job.type);
  }
  /// How many slots were paid for jobs that have to wait, without those of `borrower`. Nobody knows
  /// how much the job of a lease uses of it, but the part that asks does wait: one slot.
  [[nodiscard]] int lendable(const Place& borrower) const { return idle(borrower, false); }
  /// `all_wait`: nobody else is granted, so that those for whom all is paid have to wait, too.
  [[nodiscard]] int idle(const Place& borrower, bool all_wait) const {
    Outlook outlook = *this;
    int idle = 0;
    for (const auto& [place, request] : pool.waiting_) {
      if (request.payer.kind == Payer::Kind::nobody || !waits(request)) continue;
      if (place == borrower || granted.contains(place)) continue;
      if (place == pool.reserved_) {
        idle += std::min(claimed, 1);
        continue;
      }
      outlook.look_at(request.payer);
      const int paid = outlook.paid(request.min, request.payer);
      const bool has_to_wait = all_wait || paid < request.min || is_blocked(request.job.type);
      if (has_to_wait) idle += std::min(paid, 1);
      outlook.use(paid, request.payer);
    }
    return idle;
  }
  /// Whether a job would run on a slot that was paid for another below its payer, and that is lent.
  [[nodiscard]] bool is_lent(const Place& place, const LeaseRequest& job, int slots) const {
    if (free >= 0 || slots == 0) return false;
    Outlook after = *this;
    after.use(slots, job.payer);
    return after.idle(place, true) < std::min(idle(place, true), -free);
  }
};

bool LeasePool::grants_now(Instant now) const {
  return !paused_ && !(grace_until_ && now < *grace_until_);
}

int LeasePool::unused(const Payer& payer) const {
  int least = payer.kind == Payer::Kind::nobody ? 0 : kMaxSlots;
  for_accounts(payer,
               [&](const Payer& account) { least = std::min(least, unused_of_account(account)); });
  return least;
}

int LeasePool::unused_of_account(const Payer& account) const {
  int covered = 0;
  if (account.kind == Payer::Kind::lease) {
    const Lease* lease = find(account.lease);
    covered = lease == nullptr ? 0 : lease->slots;
  } else {
    covered = account.child.pid != 0 ? 1 : cover_(account);
  }
  const auto used = used_.find(account);
  return std::max(0, covered - (used == used_.end() ? 0 : used->second));
}

std::optional<LeasePool::Grant> LeasePool::fit(const Place& place, const LeaseRequest& request,
                                               const Outlook& outlook, int others) const {
  if (outlook.is_blocked(request.job.type)) return std::nullopt;
  int paid = outlook.paid(request.max, request.payer);
  while (paid > request.min && outlook.is_lent(place, request, paid)) --paid;
  const int least = std::max(0, request.min - paid);
  const int available = std::max(0, outlook.free - outlook.kept);
  if (least > available) return std::nullopt;
  const int share = (available + others) / (others + 1);
  const int bought = std::min({std::max(least, share), request.max - paid, available});
  if (paid + bought == 0) return std::nullopt;
  if (outlook.is_lent(place, request, paid)) return std::nullopt;
  return Grant{place, paid + bought, paid};
}

// The first in line, whom nothing is kept from.
std::optional<LeasePool::Grant> LeasePool::fit_first(const Place& place,
                                                     const LeaseRequest& request,
                                                     const Outlook& outlook) const {
  if (waiting_for_payers_ == 0 || !outlook.can_be_first(request)) return std::nullopt;
  Outlook after = outlook;
  const int paid = outlook.paid(request.min, request.payer);
  const int lacks = request.min - paid;
  after.use(paid, request.payer);
  if (lacks == 0 || lacks > outlook.free + after.lendable(place)) return std::nullopt;
  return Grant{place, request.min, paid};
}

std::vector<LeasePool::Grant> LeasePool::plan(int free, Instant now) const {
  std::vector<Grant> grants;
  if (!grants_now(now) || (free <= 0 && waiting_for_payers_ == 0)) return grants;
  Outlook outlook{*this};
  outlook.free = free;
  outlook.shared = std::max(0, free_) - in_hand_;
  auto others = static_cast<int>(waiting_.size());
  bool all_before_served = true;
  const auto consider = [&](const Place& place, const LeaseRequest& request) {
    --others;
    const Payer& payer = request.payer;
    outlook.look_at(payer);
    auto grant = fit(place, request, outlook, others);
    if (!grant && all_before_served) grant = fit_first(place, request, outlook);
    if (!grant) {
      if (outlook.can_be_first(request)) all_before_served = false;
      return false;
    }
    outlook.spend(grant->slots - grant->paid);
    outlook.use(grant->paid, payer);
    if (!request.job.type.empty()) ++outlook.jobs[request.job.type];
    outlook.granted.insert(place);
    grants.push_back(*grant);
    return true;
  };
  if (reserved_) {
    const LeaseRequest& first = waiting_.at(*reserved_);
    if (!consider(*reserved_, first)) {
      all_before_served = false;
      // What it will get, others cannot have: slots, what its payer covers, a job of its type.
      outlook.claimed = outlook.paid(first.min, first.payer);
      outlook.kept = first.min - outlook.claimed;
      outlook.use(outlook.claimed, first.payer);
      if (!first.job.type.empty()) ++outlook.jobs[first.job.type];
    }
  }
  for (const auto& [place, request] : waiting_) {
    if (outlook.free - outlook.kept <= 0 && waiting_for_payers_ == 0) break;
    if (place != reserved_) consider(place, request);
  }
  return grants;
}

std::optional<LeasePool::Place> LeasePool::first_in_line() const {
  if (reserved_) return reserved_;
  const Outlook now{*this};
  for (const auto& [place, request] : waiting_) {
    if (now.can_be_first(request)) return place;
  }
  return std::nullopt;
}

// Every change ends here: whoever fits is granted, and who is first from now on is noted.
void LeasePool::settle(Instant now, LeaseEffects* effects) {
  in_hand_ = std::min(in_hand_, std::max(0, free_));
  if (!shared_) in_hand_ = std::max(0, free_);
  reserve(now);
  (void)pay_running();
  // A grant may have made somebody else the first in line: by the limit of a type.
  for (auto grants = plan(grantable(), now); !grants.empty(); grants = plan(grantable(), now)) {
    for (const Grant& granted : grants) {
      grant(granted, now, effects);
      if (pay_running()) break;  // more is free than was planned with
    }
  }
  watch_first(now);
  check();
}

void LeasePool::reserve(Instant now) {
  if (first_ && !reserved_ && now >= first_->second + kReservationAfter) reserved_ = first_->first;
}

void LeasePool::watch_first(Instant now) {
  const auto first = first_in_line();
  if (!first) {
    first_.reset();
  } else if (!first_ || first_->first != *first) {
    first_ = {*first, now};
  }
}

int LeasePool::useful(int available, Instant now) const {
  int used = 0;
  bool serves_reserved = !reserved_;
  for (const Grant& grant : plan(grantable() + available, now)) {
    used += grant.slots - grant.paid;
    serves_reserved = serves_reserved || grant.place == *reserved_;
  }
  // Those behind the reservation get what is beyond it.
  if (!serves_reserved && used > 0) {
    const LeaseRequest& first = waiting_.at(*reserved_);
    used += first.min - std::min(first.min, unused(first.payer));
  }
  // What is owed after a resumption is put to use as well.
  const int debt = std::max(0, -free_);
  return std::clamp(used - grantable(), std::min(debt, available), std::max(0, available));
}

std::optional<LeaseDemand> LeasePool::demand(Instant now) const {
  if (free_ < 0) return LeaseDemand{};
  if (!grants_now(now)) return std::nullopt;
  const Outlook outlook{*this};
  for (const auto& [place, request] : waiting_) {
    if (reserved_ && place != *reserved_) continue;
    if (outlook.is_blocked(request.job.type)) continue;
    const int gathered = reserved_ ? grantable() : 0;
    const int lacks = request.min - std::min(request.max, unused(request.payer)) - gathered;
    if (lacks != 1 && !(lacks > 1 && reserved_)) continue;
    const auto held = held_.find(request.client);
    return LeaseDemand{request.client, held == held_.end() ? 0 : held->second, request.since};
  }
  return std::nullopt;
}

int LeasePool::surplus(Instant now) const {
  // What a new arbiter was left with is declared during the grace.
  if (free_ <= 0 || (grace_until_ && now < *grace_until_)) return 0;
  if (reserved_ && !paused_) return free_ - in_hand_;
  int used = 0;
  for (const Grant& grant : plan(grantable(), now)) used += grant.slots - grant.paid;
  return free_ - used;
}

}  // namespace tokenpool::core
