// What the pool of leases should be, as lists that are counted anew for every question. It decides
// nothing: it follows what the pool did and says whether that was right.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/lease.h"
#include "core/limits.h"

namespace tokenpool::core {

struct NaiveWait {
  LeaseRequest request;
  bool waits = true;  ///< rather than to be refused at once
};

struct NaiveLeases {
  int supply = 0;
  int ceiling = 0;
  bool paused = false;
  Instant grace{};
  std::map<std::string, int> limits;
  std::map<Payer, int> covers;
  std::vector<Lease> leases;
  std::vector<NaiveWait> line;  ///< unsorted
  Ticket head = 0;
  Instant head_since{};
  Ticket reserved = 0;

  [[nodiscard]] int free() const {
    int left = supply;
    for (const Lease& lease : leases) left -= lease.slots - lease.paid;
    return left;
  }
  [[nodiscard]] int jobs(const std::string& type) const {
    int count = 0;
    for (const Lease& lease : leases) count += !type.empty() && lease.job.type == type ? 1 : 0;
    return count;
  }
  [[nodiscard]] int used(const Payer& payer) const {
    int count = 0;
    for (const Lease& lease : leases) count += lease.payer == payer ? lease.paid : 0;
    return count;
  }
  [[nodiscard]] int covered(const Payer& payer) const {
    if (payer.kind == Payer::Kind::nobody) return 0;
    if (payer.kind == Payer::Kind::lease) {
      const Lease* lease = find(payer.lease);
      return lease == nullptr ? 0 : lease->slots;
    }
    const auto entry = covers.find(payer);
    return entry == covers.end() ? 0 : entry->second;
  }
  [[nodiscard]] int unused(const Payer& payer) const {
    return payer.kind == Payer::Kind::nobody ? 0 : std::max(0, covered(payer) - used(payer));
  }
  [[nodiscard]] bool grants(Instant now) const { return !paused && now >= grace; }
  [[nodiscard]] bool impossible(const LeaseRequest& request) const {
    const auto limit = limits.find(request.job.type);
    return request.min > ceiling || (limit != limits.end() && limit->second == 0);
  }
  [[nodiscard]] bool blocked(const LeaseRequest& request) const {
    const auto limit = limits.find(request.job.type);
    return limit != limits.end() && jobs(request.job.type) >= limit->second;
  }
  /// How many slots have to be free for it.
  [[nodiscard]] int needs(const LeaseRequest& request) const {
    return std::max(0, request.min - unused(request.payer));
  }
  [[nodiscard]] bool fits(const LeaseRequest& request) const {
    if (blocked(request)) return false;
    if (request.ticket == head && can_borrow(request)) return true;
    return needs(request) <= std::max(0, free()) && !is_lent(request);
  }
  /// Slots that were paid for others than `asker` that have to wait, when it uses `slots` of its
  /// own payer. `all_wait`: nobody else is granted.
  [[nodiscard]] int lendable(const LeaseRequest& asker, int slots, bool all_wait = false) const {
    std::vector<LeaseRequest> others;
    for (const NaiveWait& wait : line) {
      if (wait.waits && wait.request.ticket != asker.ticket) others.push_back(wait.request);
    }
    // What the one with the reservation will get, others do not: its payer's slot, a job of its
    // type.
    const NaiveWait* first = waiter(reserved);
    std::sort(others.begin(), others.end(), [&](const LeaseRequest& a, const LeaseRequest& b) {
      return a.ticket == reserved || b.ticket == reserved ? a.ticket == reserved : before(a, b);
    });
    const auto has_to_wait = [&](const LeaseRequest& other) {
      const auto limit = limits.find(other.job.type);
      const bool claims = first != nullptr && first->request.ticket != other.ticket &&
                          first->request.ticket != asker.ticket &&
                          first->request.job.type == other.job.type;
      return limit != limits.end() && jobs(other.job.type) + (claims ? 1 : 0) >= limit->second;
    };
    std::map<Payer, int> left;
    for (const LeaseRequest& other : others) left[other.payer] = unused(other.payer);
    left[asker.payer] = unused(asker.payer) - slots;
    int idle = 0;
    for (const LeaseRequest& other : others) {
      const int paid = std::min(other.min, left[other.payer]);
      if (all_wait || paid < other.min || has_to_wait(other)) idle += std::min(1, paid);
      left[other.payer] -= paid;
    }
    return idle;
  }
  /// Whether the slots of those that wait suffice for the `min` of the first in line.
  [[nodiscard]] bool can_borrow(const LeaseRequest& request) const {
    const int paid = std::min(request.min, unused(request.payer));
    return paid < request.min && request.min - paid <= free() + lendable(request, paid);
  }
  /// Whether so many of its payer's slots are in use: somebody borrowed them from another below
  /// that payer.
  [[nodiscard]] bool is_lent(const LeaseRequest& request, int paid) const {
    return free() < 0 && paid > 0 &&
           lendable(request, paid, true) < std::min(lendable(request, 0, true), -free());
  }
  [[nodiscard]] bool is_lent(const LeaseRequest& request) const {
    return is_lent(request, std::min(request.min, unused(request.payer)));
  }
  static bool before(const LeaseRequest& a, const LeaseRequest& b) {
    // Points of priority, and as many as it has waited for longer.
    const auto points = [](const LeaseRequest& one, const LeaseRequest& than) {
      return one.job.priority * kPriorityStep + std::max(Instant(0), than.since - one.since);
    };
    const auto ahead = points(a, b) - points(b, a);
    return ahead != Instant(0) ? ahead > Instant(0) : a.ticket < b.ticket;
  }
  [[nodiscard]] const Lease* find(LeaseId id) const {
    for (const Lease& lease : leases) {
      if (lease.id == id) return &lease;
    }
    return nullptr;
  }
  Lease* find(LeaseId id) {
    return const_cast<Lease*>(static_cast<const NaiveLeases*>(this)->find(id));
  }
  [[nodiscard]] const NaiveWait* waiter(Ticket ticket) const {
    for (const NaiveWait& wait : line) {
      if (wait.request.ticket == ticket) return &wait;
    }
    return nullptr;
  }

  /// An event begins: who has been first for long enough has a reservation.
  void look_at_head(Instant now) {
    if (head != 0 && reserved == 0 && now - head_since >= kReservationAfter) reserved = head;
  }
  /// An event has ended: who is first from now on?
  void note_head(Instant now) {
    if (waiter(reserved) == nullptr) reserved = 0;
    const Ticket now_first = first_in_line();
    if (now_first == head) return;
    head = now_first;
    head_since = now;
  }
  [[nodiscard]] Ticket first_in_line() const {
    if (waiter(reserved) != nullptr) return reserved;
    const LeaseRequest* first = nullptr;
    for (const NaiveWait& wait : line) {
      if (!wait.waits || blocked(wait.request)) continue;
      if (first == nullptr || before(wait.request, *first)) first = &wait.request;
    }
    return first == nullptr ? 0 : first->ticket;
  }

  void forget(Ticket ticket) {
    std::erase_if(line, [ticket](const NaiveWait& wait) { return wait.request.ticket == ticket; });
  }
  /// The slots of a lease become fewer (0: it ends): what it no longer covers costs.
  void shrink(LeaseId id, int slots) {
    if (Lease* lease = find(id)) {
      lease->slots = slots;
      lease->paid = std::min(lease->paid, slots);
    }
    if (slots == 0) std::erase_if(leases, [id](const Lease& lease) { return lease.id == id; });
    const Payer payer{Payer::Kind::lease, {}, id};
    while (used(payer) > slots) {
      Lease* newest = nullptr;
      for (Lease& lease : leases) {
        const bool is_paid = lease.payer == payer && lease.paid > 0;
        if (is_paid && (newest == nullptr || lease.id > newest->id)) newest = &lease;
      }
      --newest->paid;
    }
  }

  /// What payers cover beyond what is used, where nobody who waits has one.
  void pay_running() {
    for (const NaiveWait& wait : line) {
      if (wait.request.payer.kind != Payer::Kind::nobody) return;
    }
    std::sort(leases.begin(), leases.end(),
              [](const Lease& a, const Lease& b) { return a.id < b.id; });
    for (Lease& lease : leases) lease.paid += std::min(lease.cost(), unused(lease.payer));
  }

  /// A grant, in the order in which they were made. Throws what is wrong with it.
  void follow_grant(Ticket ticket, const Lease& lease, Instant now) {
    pay_running();
    const NaiveWait* wait = waiter(ticket);
    require(wait != nullptr, "granted what nobody asked");
    const LeaseRequest request = wait->request;
    require(grants(now), "granted while nothing is granted");
    require(request.min <= lease.slots && lease.slots <= request.max, "not what was asked for");
    require(!blocked(request), "more jobs than the limit of their type");
    const NaiveWait* first = ticket == reserved ? nullptr : waiter(reserved);
    int covered = unused(request.payer);
    // What will pay for the reservation pays for nobody else.
    if (first != nullptr && first->request.payer == request.payer) {
      covered -= std::min(covered, first->request.min);
    }
    int paid = std::min(request.max, covered);
    while (paid > request.min && is_lent(request, paid)) --paid;
    require(lease.paid == paid, "paid for otherwise");
    const bool borrows = lease.cost() > std::max(0, free());
    require(!borrows || (ticket == first_in_line() && lease.slots == request.min),
            "more granted than there is");
    require(!borrows || can_borrow(request), "more borrowed than those that wait have");
    require(borrows || !is_lent(request, paid), "granted a slot that is lent");
    if (reserved != 0 && ticket != reserved) {
      require(
          first == nullptr || lease.cost() == 0 || free() - lease.cost() >= needs(first->request),
          "somebody passed a reservation");
      require(first == nullptr || lease.paid == 0 || request.payer != first->request.payer ||
                  unused(request.payer) - lease.paid >= first->request.min,
              "somebody took what was to pay for the reservation");
    }
    for (const NaiveWait& other : line) {
      const LeaseRequest& asked = other.request;
      const bool alike = asked.min == request.min && asked.max == request.max &&
                         asked.payer == request.payer && asked.job.type == request.job.type;
      require(!alike || ticket == reserved || !before(asked, request) || is_lent(asked),
              "served before its turn");
    }
    require(lease.session == request.session && lease.owner == request.owner &&
                lease.client == request.client && lease.job == request.job,
            "somebody else's lease");
    require(find(lease.id) == nullptr, "a number twice");
    forget(ticket);
    leases.push_back(lease);
  }

  /// When everything that can be granted has been.
  void check_line(Instant now) const {
    const NaiveWait* first = waiter(reserved);
    for (const NaiveWait& wait : line) {
      const LeaseRequest& request = wait.request;
      require(!impossible(request), "the impossible waits");
      if (!grants(now) || !fits(request)) continue;
      require(first != nullptr && wait.request.ticket != reserved, "what fits waits");
      const bool in_the_way =
          needs(request) > std::max(0, free() - needs(first->request)) ||
          (request.payer.kind != Payer::Kind::nobody && request.payer == first->request.payer) ||
          (!request.job.type.empty() && request.job.type == first->request.job.type);
      require(in_the_way, "what would not delay the reservation waits");
    }
  }
  void check_payers() const {
    for (const Lease& lease : leases) {
      if (lease.payer.kind != Payer::Kind::lease || lease.paid == 0) continue;
      require(used(lease.payer) <= covered(lease.payer), "a lease pays for more than it has");
    }
  }

  static void require(bool condition, const std::string& what) {
    if (!condition) throw std::logic_error(what);
  }
};

}  // namespace tokenpool::core
