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

int Leasing::used(const Payer& payer) const {
  int count = 0;
  for (const auto& [id, held] : held_) {
    if (held.known && held.lease.payer == payer) count += held.lease.paid;
  }
  return count;
}

int Leasing::unused(const Payer& payer) const {
  int covered = 0;
  if (payer.kind == Payer::Kind::root) covered = root_pays_ ? 1 : 0;
  if (payer.kind == Payer::Kind::lease) {
    const auto entry = held_.find(payer.lease);
    covered = entry == held_.end() || !entry->second.known ? 0 : entry->second.lease.slots;
  }
  return std::max(0, covered - used(payer));
}

int Leasing::free() const {
  int left = lent_;
  for (const auto& [id, held] : held_) left -= held.known ? held.lease.cost() : 0;
  return left;
}

bool Leasing::blocked(const std::string& type) const {
  const auto limit = limits_.find(type);
  if (limit == limits_.end()) return false;
  const auto jobs = std::count_if(held_.begin(), held_.end(), [&](const auto& entry) {
    return entry.second.known && entry.second.lease.job.type == type;
  });
  return jobs >= limit->second;
}

void Leasing::uncover(LeaseId payer, int covered) {
  const Payer gone{Payer::Kind::lease, {}, payer};
  int excess = used(gone) - covered;
  for (auto entry = held_.rbegin(); entry != held_.rend() && excess > 0; ++entry) {
    Lease& lease = entry->second.lease;
    if (!entry->second.known || lease.payer != gone) continue;
    const int unpaid = std::min(excess, lease.paid);
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

void Leasing::lend(int count, Instant now) {
  lent_ += count;
  say("  ", count, " lent to the leases");
  const int lost = hub_.fault == Fault::supply_lost ? std::min(count, 1) : 0;
  pool_.supply(count - lost, now, &effects_);
  collect(now);
}

void Leasing::advance(Instant now) {
  pool_.advance(now, &effects_);
  collect(now);
}

std::optional<Instant> Leasing::next_deadline() const { return pool_.next_deadline(); }

void Leasing::collect(Instant now) {
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
  ++granted_;
  const LeaseRequest& request = asked.request;
  const Lease& lease = effect.lease;
  say("  ", effect.ticket, " gets ", lease.slots, " slots as lease ", lease.id, ", ", lease.paid,
      " paid for");
  for (Client& client : clients_) client.asked.erase(effect.ticket);
  if (!grants(now)) fail("granted although nothing is granted now");
  if (lease.slots < request.min || lease.slots > request.max)
    fail("granted another number of slots");
  if (lease.owner != request.owner || lease.session != request.session) fail("granted to another");
  if (blocked(request.job.type)) fail("more jobs of type ", request.job.type, " than its limit");
  if (lease.paid != std::min(request.max, unused(request.payer))) fail("paid for otherwise");
  if (lease.cost() > std::max(0, free())) fail("more is granted than there is");
  check_order(asked, lease, now);
  core::ProcessId client;
  for (const Client& one : clients_) {
    if (one.session == effect.session) client = one.id;
  }
  if (!held_.emplace(lease.id, Held{lease, client, true}).second) {
    fail("lease ", lease.id, " is there twice");
  }
}

// Who needs no more and came first is served first, but for who had a reservation.
void Leasing::check_order(const Asked& served, const Lease& lease, Instant now) {
  if (lease.paid > 0 || now - served.since >= core::kReservationAfter) return;
  const LeaseRequest& request = served.request;
  for (const Client& client : clients_) {
    for (const auto& [ticket, other] : client.asked) {
      const bool is_before = other.request.job.priority != request.job.priority
                                 ? other.request.job.priority > request.job.priority
                                 : ticket < request.ticket;
      if (!is_before || other.request.min > request.min || blocked(other.request.job.type))
        continue;
      fail("request ", ticket, " was passed by ", request.ticket);
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
  std::size_t known = 0;
  for (const auto& [id, held] : held_) {
    if (!held.known) continue;
    ++known;
    const Lease* lease = pool_.find(id);
    if (lease == nullptr) {
      fail("lease ", id, " is forgotten");
    } else if (lease->slots != held.lease.slots || lease->paid != held.lease.paid) {
      fail("lease ", id, " has ", lease->slots, " slots and ", lease->paid, " paid for");
    }
  }
  if (free() != pool_.free()) {
    fail("the leases have ", pool_.free(), " free slots and should have ", free());
  }
  if (pool_.leases().size() != known) fail("leases are kept that nobody has");
  std::size_t asked = 0;
  bool is_reserved = false;
  for (const Client& client : clients_) {
    asked += client.asked.size();
    for (const auto& [ticket, one] : client.asked) {
      is_reserved = is_reserved || now - one.since >= core::kReservationAfter;
      const auto& deadline = one.request.deadline;
      if (deadline && *deadline + std::chrono::milliseconds(1) < now) {
        fail("request ", ticket, " is not answered in time");
      }
    }
  }
  if (asked != pool_.waiting_count()) fail("the line is not that of those who wait");
  if (is_reserved || !grants(now)) return;
  for (const Client& client : clients_) {
    for (const auto& [ticket, one] : client.asked) {
      const int needs = one.request.min - unused(one.request.payer);
      if (needs <= visible && !blocked(one.request.job.type)) {
        fail("request ", ticket, " waits beside what it needs");
      }
    }
  }
}

}  // namespace tokenpool::sim
