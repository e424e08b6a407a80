// The books of the clients of the protocol, and what is checked with them.
#include <algorithm>

#include "core/limits.h"
#include "sim/leasing.h"

namespace tokenpool::sim {

using core::Instant;
using core::Lease;
using core::LeaseEffect;
using core::LeaseId;
using core::LeaseRequest;
using core::Payer;

namespace {

// Tokens that others may get while the next one is for a request whose client has nothing: each
// process that came before goes first once, and for each the offer to those that poll.
constexpr int kMaxPasses = 2 * kMostProcesses;

bool is_before(const LeaseRequest& one, const LeaseRequest& other) {
  const int points = one.job.priority - other.job.priority;
  const auto later = one.since - other.since;
  return later != points * core::kPriorityStep ? later < points * core::kPriorityStep
                                               : one.ticket < other.ticket;
}

}  // namespace

// Of a client of tokens: for one child of it, or for all of them.
int Leasing::used(const Payer& payer, bool of_child) const {
  int count = 0;
  for (const auto& [id, held] : held_) {
    Payer account = held.lease.payer;
    if (!of_child) account.child = {};
    if (held.known && account == payer) count += held.lease.paid;
  }
  return count;
}

int Leasing::covered(const Payer& payer) const {
  switch (payer.kind) {
    case Payer::Kind::nobody:
      return 0;
    case Payer::Kind::root:
      return root_pays_ ? 1 : 0;
    case Payer::Kind::process: {
      const auto entry = tokens_.find(payer.process);
      return 1 + (entry == tokens_.end() ? 0 : entry->second);
    }
    case Payer::Kind::lease: {
      const auto entry = held_.find(payer.lease);
      return entry == held_.end() || !entry->second.known ? 0 : entry->second.lease.slots;
    }
  }
  return 0;
}

int Leasing::unused(const Payer& payer, const LeaseRequest* claim) const {
  if (payer.kind == Payer::Kind::nobody) return 0;
  const int claimed = claim == nullptr ? 0 : std::min(claim->min, unused(claim->payer));
  const auto left = [&](int covered, Payer account, bool of_child) {
    int count = covered - used(account, of_child);
    if (claimed > 0) {
      Payer other = claim->payer;
      if (!of_child) other.child = {};
      if (other == account) count -= claimed;
    }
    return std::max(0, count);
  };
  Payer whole = payer;
  whole.child = {};
  const int of_whole = left(covered(whole), whole, false);
  return payer.child.pid == 0 ? of_whole : std::min(of_whole, left(1, payer, true));
}

void Leasing::look_at_payers() {
  tokens_.clear();
  const auto look = [&](const Payer& payer) {
    if (payer.kind == Payer::Kind::process) tokens_[payer.process] = hub_.tokens(payer.process);
  };
  for (const auto& [id, held] : held_) look(held.lease.payer);
  for (const Client& client : clients_) {
    for (const auto& [ticket, asked] : client.asked) look(asked.request.payer);
  }
}

int Leasing::free() const {
  int left = lent_;
  for (const auto& [id, held] : held_) left -= held.known ? held.lease.cost() : 0;
  return left;
}

int Leasing::grantable() const {
  const int free = this->free();
  return hub_.alone || free < 0 ? free : std::min(free, in_hand_);
}

bool Leasing::blocked(const std::string& type, int more_jobs) const {
  const auto limit = limits_.find(type);
  if (limit == limits_.end()) return false;
  const auto jobs = std::count_if(held_.begin(), held_.end(), [&](const auto& entry) {
    return entry.second.known && entry.second.lease.job.type == type;
  });
  return jobs + more_jobs >= limit->second;
}

void Leasing::uncover(LeaseId payer, int covered) {
  const Payer gone{Payer::Kind::lease, {}, payer};
  // It needs more than when others passed.
  const LeaseRequest* waits = reserved();
  if (waits != nullptr && waits->payer == gone) note_before();
  int excess = used(gone, false) - covered;
  for (auto entry = held_.rbegin(); entry != held_.rend() && excess > 0; ++entry) {
    Lease& lease = entry->second.lease;
    if (!entry->second.known || lease.payer != gone) continue;
    const int unpaid = std::min(excess, lease.paid);
    if (unpaid > 0 && first_) first_->before.insert(lease.id);
    lease.paid -= unpaid;
    excess -= unpaid;
  }
}

void Leasing::shrink(LeaseId id, int slots) {
  if (slots == 0) {
    held_.erase(id);
  } else {
    Lease& lease = held_.at(id).lease;
    lease.slots = slots;
    lease.paid = std::min(lease.paid, slots);
  }
  uncover(id, slots);
}

void Leasing::lose(LeaseId id) {
  held_.at(id).known = false;
  held_.at(id).lease.paid = 0;
  uncover(id, 0);
}

// What payers cover beyond what is used pays for leases that run, where nobody who waits has one;
// else, if slots are owed, until so many are free.
void Leasing::pay_running() {
  const bool is_waited_for = std::ranges::any_of(clients_, [](const Client& client) {
    return std::ranges::any_of(client.asked, [](const auto& entry) {
      return entry.second.request.payer.kind != Payer::Kind::nobody;
    });
  });
  for (auto& [id, held] : held_) {
    if (!held.known || (is_waited_for && owed_ == 0)) continue;
    const int most = is_waited_for ? std::max(0, owed_ - free()) : core::kMaxSlots;
    held.lease.paid += std::min({held.lease.cost(), unused(held.lease.payer), most});
  }
}

void Leasing::lend(int count, Instant now) {
  lent_ += count;
  say("  ", count, " lent to the leases");
  if (Asked* next = next_asked(now)) next->passed = 0;
  in_hand_ += count;
  const int lost = hub_.fault == Fault::supply_lost ? std::min(count, 1) : 0;
  pool_.supply(count - lost, now, &effects_);
  collect(now);
}

void Leasing::repaid(int count, Instant now) {
  if (count > 0 && now < grace_until_) fail("given back before it could be declared");
  lent_ -= count;
}

// Who is first in line of those that lack one slot, or has a reservation.
Leasing::Asked* Leasing::next_asked(Instant now) {
  if (!grants(now)) return nullptr;
  const LeaseRequest* first = reserved();
  Asked* next = nullptr;
  for (Client& client : clients_) {
    for (auto& [ticket, asked] : client.asked) {
      const LeaseRequest& request = asked.request;
      if (blocked(request.job.type)) continue;
      if (first != nullptr ? first->ticket != ticket : needs(request) != 1) continue;
      if (next == nullptr || is_before(request, next->request)) next = &asked;
    }
  }
  return next != nullptr && needs(next->request) > 0 ? next : nullptr;
}

int Leasing::cost_of(core::ProcessId client) const {
  int cost = 0;
  for (const auto& [id, held] : held_) {
    if (held.known && held.lease.client == client) cost += held.lease.cost();
  }
  return cost;
}

std::optional<core::LeaseDemand> Leasing::demand(Instant now) {
  if (free() < 0) return core::LeaseDemand{};
  const Asked* next = next_asked(now);
  if (next == nullptr) return std::nullopt;
  return core::LeaseDemand{next->request.client, cost_of(next->request.client),
                           next->request.since};
}

void Leasing::pass(Instant now) {
  Asked* next = free() < 0 ? nullptr : next_asked(now);
  if (next == nullptr || cost_of(next->request.client) > 0 || ++next->passed <= kMaxPasses) return;
  fail("request ", next->request.ticket, " starves beside clients of tokens");
}

void Leasing::advance(Instant now) {
  if (hub_.fault == Fault::time_ignored) return;
  pool_.advance(now, &effects_);
  collect(now);
}

std::optional<Instant> Leasing::next_deadline() const {
  if (hub_.fault == Fault::time_ignored) return std::nullopt;
  return pool_.next_deadline();
}

void Leasing::collect(Instant now) {
  mature(now);
  in_hand_ = std::min(in_hand_, std::max(0, free()));
  for (const LeaseEffect& effect : effects_) {
    switch (effect.kind) {
      case LeaseEffect::Kind::granted:
        granted(effect, now);
        break;
      case LeaseEffect::Kind::unavailable:
      case LeaseEffect::Kind::impossible:
        answered(effect, now);
        break;
      case LeaseEffect::Kind::finished:
      case LeaseEffect::Kind::recovered:
        recovered(effect);
        break;
    }
  }
  effects_.clear();
  pay_running();
  note_line(now);
}

void Leasing::mature(Instant now) {
  if (!first_ || first_->is_reserved || now - first_->since < core::kReservationAfter) return;
  if (find(first_->ticket) == nullptr) return;
  first_->is_reserved = true;
  ++reservations_;
  say("  ", first_->ticket, " has a reservation");
  note_before();
}

void Leasing::note_before() {
  if (!first_) return;
  for (const auto& [id, held] : held_) {
    if (held.known) first_->before.insert(id);
  }
}

// Who is first in line from now on, of those that wait and that no limit stops.
void Leasing::note_line(Instant now) {
  mature(now);
  if (first_ && find(first_->ticket) == nullptr) first_.reset();
  if (first_ && first_->is_reserved) return;
  const Asked* first = nullptr;
  for (const Client& client : clients_) {
    for (const auto& [ticket, asked] : client.asked) {
      if (!waits(asked) || blocked(asked.request.job.type)) continue;
      if (first == nullptr || is_before(asked.request, first->request)) first = &asked;
    }
  }
  if (first == nullptr) {
    first_.reset();
  } else if (!first_ || first_->ticket != first->request.ticket) {
    first_ = {first->request.ticket, now, false, {}};
  }
}

const Leasing::Asked* Leasing::find(core::Ticket ticket) const {
  for (const Client& client : clients_) {
    const auto entry = client.asked.find(ticket);
    if (entry != client.asked.end()) return &entry->second;
  }
  return nullptr;
}

const LeaseRequest* Leasing::reserved() const {
  const Asked* asked = first_ && first_->is_reserved ? find(first_->ticket) : nullptr;
  return asked == nullptr ? nullptr : &asked->request;
}

int Leasing::needs(const LeaseRequest& request) const {
  return std::max(0, request.min - unused(request.payer));
}

bool Leasing::waits(const Asked& asked) {
  return !asked.request.deadline || *asked.request.deadline > asked.request.since;
}

int Leasing::lendable(const LeaseRequest& asker, int slots, bool all) const {
  std::vector<LeaseRequest> others;
  for (const Client& client : clients_) {
    for (const auto& [ticket, asked] : client.asked) {
      if (waits(asked) && ticket != asker.ticket) others.push_back(asked.request);
    }
  }
  // What the one with the reservation will get, others do not: its payer's slot, a job of its type.
  const LeaseRequest* first = reserved();
  std::sort(others.begin(), others.end(), [first](const LeaseRequest& a, const LeaseRequest& b) {
    if (first != nullptr && a.ticket == first->ticket) return b.ticket != first->ticket;
    return (first == nullptr || b.ticket != first->ticket) && is_before(a, b);
  });
  std::map<Payer, int> taken;
  const auto whole = [](Payer payer) {
    payer.child = {};
    return payer;
  };
  const auto take = [&](const Payer& payer, int count) {
    taken[whole(payer)] += count;
    if (payer.child.pid != 0) taken[payer] += count;
  };
  take(asker.payer, slots);
  int idle = 0;
  for (const LeaseRequest& other : others) {
    if (other.payer.kind == Payer::Kind::nobody) continue;
    int paid = std::min(other.min, covered(whole(other.payer)) - used(whole(other.payer), false) -
                                       taken[whole(other.payer)]);
    if (other.payer.child.pid != 0) {
      paid = std::min(paid, 1 - used(other.payer, true) - taken[other.payer]);
    }
    paid = std::max(0, paid);
    const bool is_claimed = first != nullptr && first->ticket != other.ticket &&
                            first->ticket != asker.ticket && first->job.type == other.job.type;
    const bool has_to_wait = all || paid < other.min || blocked(other.job.type, is_claimed ? 1 : 0);
    if (has_to_wait) idle += std::min(1, paid);
    take(other.payer, paid);
  }
  return idle;
}

bool Leasing::can_borrow(const LeaseRequest& first) const {
  const int paid = std::min(first.min, unused(first.payer));
  return paid < first.min && first.min - paid <= grantable() + lendable(first, paid);
}

bool Leasing::is_lent(const LeaseRequest& request, int paid) const {
  return free() < 0 && paid > 0 &&
         lendable(request, paid, true) < std::min(lendable(request, 0, true), -free());
}

std::size_t Leasing::waiting() const {
  std::size_t count = 0;
  for (const Client& client : clients_) count += client.asked.size();
  return count;
}

Leasing::Asked* Leasing::find(const LeaseEffect& effect) {
  for (Client& client : clients_) {
    if (client.session != effect.session) continue;
    const auto entry = client.asked.find(effect.ticket);
    if (entry != client.asked.end()) return &entry->second;
  }
  fail("answered ", effect.ticket, ", which nobody asked, or twice");
  return nullptr;
}

void Leasing::granted(const LeaseEffect& effect, Instant now) {
  const Asked* found = find(effect);
  if (found == nullptr) return;
  const Asked asked = *found;
  pay_running();
  const Lease& lease = effect.lease;
  ++granted_;
  say("  ", effect.ticket, " gets ", lease.slots, " slots as lease ", lease.id, ", ", lease.paid,
      " paid for");
  core::ProcessId client;
  for (Client& one : clients_) {
    if (one.session == effect.session) client = one.id;
    one.asked.erase(effect.ticket);
  }
  check_grant(asked, lease, now);
  in_hand_ = std::max(0, in_hand_ - lease.cost());
  const LeaseRequest* waits = reserved();
  const int needed = waits == nullptr ? 0 : needs(*waits);
  const bool could = waits != nullptr && !blocked(waits->job.type);
  if (!held_.emplace(lease.id, Held{lease, client, true}).second) {
    fail("lease ", lease.id, " is there twice");
  }
  if (waits == nullptr) return;
  const bool takes = lease.cost() > 0 || needs(*waits) > needed;
  if (takes && free() < needs(*waits)) {
    fail("request ", waits->ticket, " has a reservation and is delayed by ", effect.ticket);
  }
  if (could && blocked(waits->job.type)) {
    fail("request ", waits->ticket, " has a reservation, ", effect.ticket, " gets its job");
  }
}

void Leasing::check_grant(const Asked& asked, const Lease& lease, Instant now) {
  const LeaseRequest& request = asked.request;
  if (!grants(now)) fail("granted although nothing is granted now");
  if (lease.slots < request.min || lease.slots > request.max)
    fail("granted another number of slots");
  if (lease.owner != request.owner || lease.session != request.session ||
      lease.client != request.client || lease.payer != request.payer) {
    fail("granted to another");
  }
  if (blocked(request.job.type)) fail("more jobs of type ", request.job.type, " than its limit");
  int paid = std::min(request.max, unused(request.payer, reserved()));
  while (paid > request.min && is_lent(request, paid)) --paid;
  if (lease.paid != paid) fail("paid for otherwise");
  const bool borrows = lease.cost() > std::max(0, grantable());
  if (borrows && (lease.slots != request.min || !can_borrow(request))) {
    fail("more is granted than there is");
  }
  if (borrows) check_first(request);
  if (!borrows && is_lent(request, paid)) fail("granted a slot that is lent");
  if (hub_.alone && !borrows) check_share(request, lease);
  if (!borrows && lease.paid == 0 && first_ &&
      !(first_->is_reserved && first_->ticket == request.ticket)) {
    check_order(request);
  }
}

// Of what is free an equal part for each that waits, at least what it needs.
void Leasing::check_share(const LeaseRequest& request, const Lease& lease) {
  const LeaseRequest* waits = reserved();
  const bool is_first = first_ && first_->is_reserved && first_->ticket == request.ticket;
  int others = 0;
  for (const Client& client : clients_) {
    for (const auto& [ticket, other] : client.asked) {
      const bool is_reserved = waits != nullptr && waits->ticket == ticket;
      if (is_first || (!is_reserved && is_before(request, other.request))) ++others;
    }
  }
  const int available = std::max(0, free() - (waits == nullptr ? 0 : needs(*waits)));
  const int least = std::max(0, request.min - lease.paid);
  const int share = std::max(least, (available + others) / (others + 1));
  if (lease.cost() != std::min({share, request.max - lease.paid, available})) {
    fail("request ", request.ticket, " gets ", lease.cost(), " slots of ", available, " beside ",
         others);
  }
}

// Who needs no more and came first is served first.
void Leasing::check_order(const LeaseRequest& served) {
  const LeaseRequest* waits = reserved();
  for (const Client& client : clients_) {
    for (const auto& [ticket, other] : client.asked) {
      const std::string& type = other.request.job.type;
      // What the one with the reservation will get, others cannot have.
      const bool is_claimed =
          waits != nullptr && waits->ticket != ticket && waits->job.type == type;
      if (!is_before(other.request, served) || other.request.min > served.min ||
          blocked(type, is_claimed ? 1 : 0)) {
        continue;
      }
      fail("request ", ticket, " was passed by ", served.ticket);
    }
  }
}

// Only the first in line borrows.
void Leasing::check_first(const LeaseRequest& borrower) {
  if (first_ && first_->is_reserved && first_->ticket == borrower.ticket) return;
  if (reserved() != nullptr) fail("request ", borrower.ticket, " borrows before a reservation");
  for (const Client& client : clients_) {
    for (const auto& [ticket, other] : client.asked) {
      if (waits(other) && is_before(other.request, borrower) && !blocked(other.request.job.type)) {
        fail("request ", borrower.ticket, " borrows before ", ticket);
      }
    }
  }
}

void Leasing::answered(const LeaseEffect& effect, Instant now) {
  const Asked* found = find(effect);
  if (found == nullptr) return;
  const LeaseRequest request = found->request;
  for (Client& client : clients_) client.asked.erase(effect.ticket);
  if (effect.kind == LeaseEffect::Kind::unavailable) {
    say("  ", effect.ticket, " has waited for too long");
    if (!request.deadline || *request.deadline > now) fail("refused before its time");
    return;
  }
  say("  ", effect.ticket, " is impossible");
  const auto limit = limits_.find(request.job.type);
  const bool has_limit = limit != limits_.end() && limit->second == 0;
  if (request.min <= slots_ && !has_limit) fail("refused what is possible");
}

void Leasing::recovered(const LeaseEffect& effect) {
  say("  lease ", effect.lease.id, " is recovered");
  if (ending_.erase(effect.lease.id) == 0)
    fail("lease ", effect.lease.id, " is taken from somebody");
}

void Leasing::audit(int visible, Instant now) {
  note_line(now);
  std::size_t known = 0;
  for (const auto& [id, held] : held_) {
    if (!held.known) continue;
    ++known;
    const Lease* lease = pool_.find(id);
    if (lease == nullptr) {
      fail("lease ", id, " is forgotten");
    } else if (lease->slots != held.lease.slots || lease->paid != held.lease.paid) {
      fail("lease ", id, " has ", lease->slots, " slots and ", lease->paid, " paid for");
    } else if (lease->session != held.lease.session || lease->owner != held.lease.owner ||
               lease->client != held.lease.client || lease->payer != held.lease.payer ||
               lease->job != held.lease.job) {
      fail("lease ", id, " is another one");
    }
  }
  if (free() != pool_.free()) {
    fail("the leases have ", pool_.free(), " free slots and should have ", free());
  }
  if (pool_.leases().size() != known) fail("leases are kept that nobody has");
  if (waiting() != pool_.waiting_count()) fail("the line is not that of those who wait");
  audit_line(hub_.alone ? free() : visible, now);
}

void Leasing::audit_line(int visible, Instant now) {
  // A busy arbiter is late for its deadlines.
  const Instant before = now - std::chrono::milliseconds(1);
  for (const Client& client : clients_) {
    for (const auto& [ticket, one] : client.asked) {
      const auto& deadline = one.request.deadline;
      if (deadline && *deadline < before) {
        fail("request ", ticket, " is not answered in time");
      }
    }
  }
  if (!grants(before)) return;
  const LeaseRequest* first = reserved();
  for (const Client& client : clients_) {
    for (const auto& [ticket, one] : client.asked) {
      const LeaseRequest& request = one.request;
      const bool passes = first != nullptr && first->ticket != ticket;
      const int kept = passes ? needs(*first) : 0;
      const int paid = unused(request.payer, passes ? first : nullptr);
      const bool is_claimed = passes && first->job.type == request.job.type;
      const int needed = std::max(0, request.min - paid);
      const bool borrows = first_ && first_->ticket == ticket && can_borrow(request);
      if (!borrows && is_lent(request, std::min(request.min, unused(request.payer)))) continue;
      if (!borrows && needed > 0 && needed + kept > visible) continue;
      if (!blocked(request.job.type, is_claimed ? 1 : 0)) {
        fail("request ", ticket, " waits beside what it needs");
      }
    }
  }
  if (!hub_.alone || first == nullptr || blocked(first->job.type)) return;
  const bool has_to_wait = std::any_of(held_.begin(), held_.end(), [this](const auto& one) {
    return one.second.known && first_->before.contains(one.first);
  });
  if (!has_to_wait) fail("request ", first->ticket, " waits for those that came later");
}

}  // namespace tokenpool::sim
