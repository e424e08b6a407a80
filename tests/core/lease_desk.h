// Clients of the protocol without sockets: tells a pool of leases what they ask and keeps what it
// answers. Every event ends with the checks that hold whatever the policy.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>

#include "core/lease_pool.h"

namespace tokenpool::core {

/// What a test says of a request; the rest is filled in.
struct Ask {
  int min = 1;
  int max = 0;  ///< 0: as `min`
  std::string type = {};
  int priority = 0;
  SessionId session = 1;
  ProcessId client = {};
  std::optional<ProcessId> owner = {};
  Payer payer = {};
  std::optional<Instant> timeout = {};
};

class LeaseDesk {
 public:
  enum class Answer : std::uint8_t { none, granted, unavailable, impossible };

  /// `supplied`: at once; as many as there are where it is missing.
  explicit LeaseDesk(int slots, LeaseId first_id = 100, std::optional<int> supplied = std::nullopt)
      : pool(slots, first_id, cover()) {
    supply(supplied.value_or(slots));
  }
  /// What `covers` says.
  LeasePool::Cover cover() {
    return [this](const Payer& payer) {
      const auto entry = covers.find(payer);
      return entry == covers.end() ? 0 : entry->second;
    };
  }
  LeaseDesk(const LeaseDesk&) = delete;
  LeaseDesk& operator=(const LeaseDesk&) = delete;

  Ticket ask(const Ask& what) {
    LeaseRequest request;
    request.ticket = ++last_ticket;
    request.session = what.session;
    request.client = what.client;
    request.payer = what.payer;
    request.owner = what.owner;
    request.min = what.min;
    request.max = std::max(what.min, what.max);
    request.job.type = what.type;
    request.job.priority = what.priority;
    if (what.timeout) request.deadline = now + *what.timeout;
    pool.request(std::move(request), now, &effects);
    collect();
    return last_ticket;
  }
  /// A lease that is granted at once.
  LeaseId take(const Ask& what) { return lease(ask(what)); }
  LeaseId take(int slots) { return take(Ask{.min = slots}); }

  Answer answer(Ticket ticket) const {
    const auto entry = answers.find(ticket);
    return entry == answers.end() ? Answer::none : entry->second.first;
  }
  bool granted(Ticket ticket) const { return answer(ticket) == Answer::granted; }
  bool waits(Ticket ticket) const { return answer(ticket) == Answer::none; }
  LeaseId lease(Ticket ticket) const {
    const auto entry = answers.find(ticket);
    return entry == answers.end() ? 0 : entry->second.second.id;
  }
  /// As granted; 0: not granted.
  int slots(Ticket ticket) const {
    const auto entry = answers.find(ticket);
    return entry == answers.end() ? 0 : entry->second.second.slots;
  }
  int paid(Ticket ticket) const { return answers.at(ticket).second.paid; }
  /// As it is now.
  int cost(LeaseId id) const { return pool.find(id)->cost(); }

  int release(LeaseId id, int slots = 0) {
    const int left = pool.release(id, slots, now, &effects);
    collect();
    return left;
  }
  std::optional<int> resize(LeaseId id, int min, int max) {
    const auto slots = pool.resize(id, min, max, now, &effects);
    collect();
    return slots;
  }
  bool cancel(Ticket ticket) {
    const bool waited = pool.cancel(ticket, now, &effects);
    collect();
    return waited;
  }
  LeaseId resume(const Lease& lease) {
    const LeaseId id = pool.resume(lease, now, &effects);
    collect();
    return id;
  }
  void end_session(SessionId session) {
    pool.session_ended(session, now, &effects);
    collect();
  }
  void end_owner(ProcessId owner) {
    pool.owner_ended(owner, now, &effects);
    collect();
  }
  void set_ceiling(int slots) {
    pool.set_ceiling(slots, now, &effects);
    collect();
  }
  bool set_limit(const std::string& type, std::optional<int> limit) {
    const bool taken = pool.set_limits({{type, limit}}, now, &effects);
    collect();
    return taken;
  }
  void pause(bool paused) {
    pool.set_paused(paused, now, &effects);
    collect();
  }
  void supply(int slots) {
    supplied += slots;
    pool.supply(slots, now, &effects);
    collect();
  }
  void reconsider() {
    pool.reconsider(now, &effects);
    collect();
  }
  void advance() {
    pool.advance(now, &effects);
    collect();
  }
  /// Time passes; what becomes due on the way happens when it is due.
  void pass(Instant duration) {
    const Instant end = now + duration;
    for (auto due = pool.next_deadline(); due && *due <= end; due = pool.next_deadline()) {
      now = std::max(now, *due);
      advance();
      require(pool.next_deadline() != due, "a deadline does not go away");
    }
    now = end;
  }

  Instant now = std::chrono::seconds(1);
  std::map<Payer, int> covers;
  LeasePool pool;
  int supplied = 0;
  std::map<Ticket, std::pair<Answer, Lease>> answers;
  std::vector<Ticket> order;     ///< of the grants
  std::vector<Ticket> answered;  ///< in the order of the answers
  std::vector<Lease> finished;
  std::vector<Lease> recovered;  ///< as they were
  std::vector<LeaseEnd> causes;  ///< of `recovered`
  Ticket last_ticket = 0;
  LeaseEffects effects;

  /// After an event that a test told the pool itself.
  void collect() {
    for (const LeaseEffect& effect : effects) collect(effect);
    effects.clear();
    int cost = 0;
    for (const auto& [id, lease] : pool.leases()) {
      require(lease.id == id && lease.slots > 0, "a lease of nothing");
      require(lease.paid >= 0 && lease.paid <= lease.slots, "more is paid than there is");
      cost += lease.cost();
    }
    require(pool.leased() == cost, "the pool is wrong about what is out");
    require(pool.free() + cost == supplied, "slots are missing");
  }

 private:
  static void require(bool condition, const std::string& what) {
    // Thrown rather than EXPECTed: both GoogleTest and rapidcheck take it for a failure.
    if (!condition) throw std::logic_error(what);
  }
  void collect(const LeaseEffect& effect) {
    using Kind = LeaseEffect::Kind;
    switch (effect.kind) {
      case Kind::granted:
        keep(effect, Answer::granted);
        order.push_back(effect.ticket);
        break;
      case Kind::unavailable:
        keep(effect, Answer::unavailable);
        break;
      case Kind::impossible:
        keep(effect, Answer::impossible);
        break;
      case Kind::finished:
        finished.push_back(effect.lease);
        break;
      case Kind::recovered:
        recovered.push_back(effect.lease);
        causes.push_back(effect.cause);
        break;
    }
  }
  void keep(const LeaseEffect& effect, Answer answer) {
    require(effect.ticket != 0, "answered what nobody asked");
    require(answers.emplace(effect.ticket, std::pair(answer, effect.lease)).second,
            "answered twice");
    answered.push_back(effect.ticket);
  }
};

}  // namespace tokenpool::core
