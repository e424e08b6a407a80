#include "core/lease_pool.h"

#include <algorithm>

#include "core/check.h"
#include "core/limits.h"

namespace tokenpool::core {
namespace {

void emit_for(LeaseEffects* effects, LeaseEffect::Kind kind, const LeaseRequest& request) {
  LeaseEffect effect;
  effect.kind = kind;
  effect.ticket = request.ticket;
  effect.session = request.session;
  effects->push_back(std::move(effect));
}

template <typename Map, typename Key, typename Value>
void erase_from(Map* map, const Key& key, const Value& value) {
  const auto entry = map->find(key);
  if (entry == map->end()) return;
  entry->second.erase(value);
  if (entry->second.empty()) map->erase(entry);
}

template <typename Map, typename Key>
void add_to(Map* map, const Key& key, int count) {
  if (count == 0) return;
  const auto [entry, is_new] = map->try_emplace(key, 0);
  entry->second += count;
  if (entry->second == 0) map->erase(entry);
}

}  // namespace

std::map<std::string, int> changed(std::map<std::string, int> limits, const Limits& changes) {
  for (const auto& [type, limit] : changes) {
    limits.erase(type);
    if (limit) limits.emplace(type, *limit);
  }
  return limits;
}

LeasePool::LeasePool(int ceiling, LeaseId first_id, Cover cover)
    : ceiling_(ceiling), next_id_(first_id), cover_(std::move(cover)) {
  TOKENPOOL_CHECK(ceiling >= 1 && ceiling <= kMaxSlots && first_id > 0);
}

// Of two that wait for equally long the one with more points is first. As both grow older alike,
// their order stays: it is that of a single number.
LeasePool::Place LeasePool::place_of(const LeaseRequest& request) {
  return {request.since - request.job.priority * kPriorityStep, request.ticket};
}

void LeasePool::request(LeaseRequest request, Instant now, LeaseEffects* effects) {
  TOKENPOOL_CHECK(request.min >= 1 && request.min <= request.max);
  if (is_impossible(request)) return emit_for(effects, LeaseEffect::Kind::impossible, request);
  request.since = now;
  const Place place = place_of(request);
  const bool waits = !request.deadline || *request.deadline > now;
  TOKENPOOL_CHECK(!places_.contains(request.ticket));
  places_.emplace(request.ticket, place);
  asked_by_[request.session].insert(request.ticket);
  if (request.owner) asked_for_[*request.owner].insert(request.ticket);
  if (request.deadline) deadlines_.emplace(*request.deadline, request.ticket);
  if (request.payer.kind != Payer::Kind::nobody) ++waiting_for_payers_;
  waiting_.emplace(place, std::move(request));
  if (shared_) {
    reserve(now);
    return watch_first(now);
  }
  settle(now, effects);
  if (waits || !waiting_.contains(place)) return;
  emit_for(effects, LeaseEffect::Kind::unavailable, take_waiting(place));
  ++counters_.timed_out;
  settle(now, effects);
}

bool LeasePool::cancel(Ticket ticket, Instant now, LeaseEffects* effects) {
  const auto place = places_.find(ticket);
  if (place == places_.end()) return false;
  take_waiting(Place(place->second));
  ++counters_.cancelled;
  settle(now, effects);
  return true;
}

int LeasePool::release(LeaseId id, int slots, Instant now, LeaseEffects* effects) {
  const auto entry = leases_.find(id);
  TOKENPOOL_CHECK(entry != leases_.end());
  Lease& lease = entry->second;
  int left = 0;
  if (slots > 0 && slots < lease.slots) {
    unbook(lease);
    lease.slots -= slots;
    // What the pool gave comes back first.
    lease.paid = std::min(lease.paid, lease.slots);
    book(lease);
    left = lease.slots;
    uncover(id, left);
  } else {
    close(id);
    ++counters_.released;
  }
  settle(now, effects);
  return left;
}

std::optional<int> LeasePool::resize(LeaseId id, int min, int max, Instant now,
                                     LeaseEffects* effects) {
  const auto entry = leases_.find(id);
  TOKENPOOL_CHECK(entry != leases_.end() && min >= 1 && min <= max);
  Lease& lease = entry->second;
  int slots = std::min(lease.slots, max);
  if (lease.slots < max && waiting_.empty() && grants_now(now)) {
    slots = std::min(max, lease.slots + std::max(0, grantable()));
  }
  if (slots < min) return std::nullopt;
  in_hand_ -= std::max(0, slots - lease.slots);
  unbook(lease);
  lease.slots = slots;
  lease.paid = std::min(lease.paid, slots);
  book(lease);
  uncover(id, slots);
  settle(now, effects);
  return slots;
}

void LeasePool::hand_to(LeaseId id, std::optional<ProcessId> owner) {
  const auto entry = leases_.find(id);
  TOKENPOOL_CHECK(entry != leases_.end());
  unbook(entry->second);
  entry->second.owner = owner;
  book(entry->second);
}

LeaseId LeasePool::resume(Lease lease, Instant now, LeaseEffects* effects) {
  const auto known = leases_.find(lease.id);
  if (known != leases_.end()) {
    unbook(known->second);
    known->second.session = lease.session;
    book(known->second);
    return lease.id;
  }
  TOKENPOOL_CHECK(lease.slots >= 1);
  if (lease.id == 0) {
    lease.id = new_id();
  } else {
    next_id_ = lease.id < kMaxNumber ? std::max(next_id_, lease.id + 1) : 1;
  }
  lease.paid = std::min(lease.slots, unused(lease.payer));
  lease.since = now;
  const LeaseId id = lease.id;
  book(lease);
  leases_.emplace(id, std::move(lease));
  ++counters_.resumed;
  if (counters_.resumed == expected_) grace_until_.reset();
  settle(now, effects);
  return id;
}

void LeasePool::session_ended(SessionId session, Instant now, LeaseEffects* effects) {
  if (const auto asked = asked_by_.find(session); asked != asked_by_.end()) {
    const std::set<Ticket> tickets = asked->second;
    for (const Ticket ticket : tickets) take_waiting(Place(places_.at(ticket)));
  }
  if (const auto held = of_session_.find(session); held != of_session_.end()) {
    const std::set<LeaseId> ids = held->second;
    for (const LeaseId id : ids) {
      Lease& lease = leases_.at(id);
      if (!lease.owner) {
        end(id, effects, LeaseEnd::session);
        continue;
      }
      unbook(lease);
      lease.session = 0;
      book(lease);
    }
  }
  settle(now, effects);
}

void LeasePool::owner_ended(ProcessId owner, Instant now, LeaseEffects* effects) {
  if (const auto asked = asked_for_.find(owner); asked != asked_for_.end()) {
    for (const Ticket ticket : asked->second) {
      waiting_.at(places_.at(ticket)).owner.reset();
    }
    asked_for_.erase(asked);
  }
  const auto held = of_owner_.find(owner);
  if (held == of_owner_.end()) return;
  const std::set<LeaseId> ids = held->second;
  for (const LeaseId id : ids) end(id, effects, LeaseEnd::process);
  settle(now, effects);
}

void LeasePool::set_ceiling(int slots, Instant now, LeaseEffects* effects) {
  TOKENPOOL_CHECK(slots >= 1 && slots <= kMaxSlots);
  ceiling_ = slots;
  refuse_impossible(effects);
  settle(now, effects);
}

bool LeasePool::set_limits(const Limits& changes, Instant now, LeaseEffects* effects) {
  auto limits = changed(limits_, changes);
  if (limits.size() > kMaxLimits) return false;
  limits_ = std::move(limits);
  refuse_impossible(effects);
  settle(now, effects);
  return true;
}

void LeasePool::set_paused(bool paused, Instant now, LeaseEffects* effects) {
  paused_ = paused;
  settle(now, effects);
}

void LeasePool::set_grace(Instant until, std::size_t expected) {
  had_grace_ = true;
  grace_until_ = until;
  expected_ = expected;
}

void LeasePool::supply(int slots, Instant now, LeaseEffects* effects) {
  supply_ += slots;
  free_ += slots;
  in_hand_ += std::max(0, slots);
  TOKENPOOL_CHECK(supply_ >= 0);
  settle(now, effects);
}

void LeasePool::advance(Instant now, LeaseEffects* effects) {
  if (grace_until_ && *grace_until_ <= now) grace_until_.reset();
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    // It may be that it fits just now.
    settle(now, effects);
    if (deadlines_.empty() || deadlines_.begin()->first > now) break;
    const Place place = places_.at(deadlines_.begin()->second);
    emit_for(effects, LeaseEffect::Kind::unavailable, take_waiting(place));
    ++counters_.timed_out;
  }
  settle(now, effects);
}

std::optional<Instant> LeasePool::next_deadline() const {
  std::optional<Instant> next = grace_until_;
  const auto consider = [&next](Instant instant) {
    if (!next || instant < *next) next = instant;
  };
  if (!deadlines_.empty()) consider(deadlines_.begin()->first);
  if (first_ && !reserved_) consider(first_->second + kReservationAfter);
  return next;
}

const Lease* LeasePool::find(LeaseId id) const {
  const auto entry = leases_.find(id);
  return entry == leases_.end() ? nullptr : &entry->second;
}

std::vector<const LeaseRequest*> LeasePool::waiting() const {
  std::vector<const LeaseRequest*> line;
  line.reserve(waiting_.size());
  for (const auto& [place, request] : waiting_) line.push_back(&request);
  return line;
}

std::size_t LeasePool::count_of(SessionId session) const {
  const auto entry = of_session_.find(session);
  return entry == of_session_.end() ? 0 : entry->second.size();
}

LeaseId LeasePool::any_of(SessionId session) const {
  const auto entry = of_session_.find(session);
  return entry == of_session_.end() ? 0 : *entry->second.begin();
}

LeaseId LeasePool::any_of(ProcessId owner) const {
  const auto entry = of_owner_.find(owner);
  return entry == of_owner_.end() ? 0 : *entry->second.begin();
}

int LeasePool::jobs_of_type(const std::string& type) const {
  const auto entry = jobs_.find(type);
  return entry == jobs_.end() ? 0 : entry->second;
}

bool LeasePool::is_impossible(const LeaseRequest& request) const {
  const auto limit = limits_.find(request.job.type);
  const int most = ceiling_ - (request.payer.kind == Payer::Kind::nobody ? implicit_ : 0);
  return request.min > most || (limit != limits_.end() && limit->second == 0);
}

void LeasePool::refuse_impossible(LeaseEffects* effects) {
  std::vector<Place> places;
  for (const auto& [place, request] : waiting_) {
    if (is_impossible(request)) places.push_back(place);
  }
  for (const Place& place : places) {
    emit_for(effects, LeaseEffect::Kind::impossible, take_waiting(place));
  }
}

void LeasePool::grant(const Grant& grant, Instant now, LeaseEffects* effects) {
  LeaseRequest request = take_waiting(grant.place);
  Lease lease;
  lease.id = new_id();
  lease.session = request.session;
  lease.client = request.client;
  lease.payer = request.payer;
  lease.owner = request.owner;
  lease.slots = grant.slots;
  lease.paid = grant.paid;
  lease.job = std::move(request.job);
  lease.since = now;
  in_hand_ = std::max(0, in_hand_ - lease.cost());  // less: the rest is lent by those that wait
  book(lease);
  ++counters_.granted;
  LeaseEffect effect;
  effect.kind = LeaseEffect::Kind::granted;
  effect.ticket = request.ticket;
  effect.session = request.session;
  effect.lease = lease;
  leases_.emplace(lease.id, std::move(lease));
  effects->push_back(std::move(effect));
}

void LeasePool::book(const Lease& lease) {
  free_ -= lease.cost();
  leased_ += lease.cost();
  counters_.peak_cost = std::max(counters_.peak_cost, leased_);
  add_to(&held_, lease.client, lease.cost());
  for_accounts(lease.payer, [&](const Payer& account) { add_to(&used_, account, lease.paid); });
  if (lease.cost() > 0 && lease.payer.kind != Payer::Kind::nobody) unpaid_.insert(lease.id);
  if (!lease.job.type.empty()) add_to(&jobs_, lease.job.type, 1);
  if (lease.session != 0) of_session_[lease.session].insert(lease.id);
  if (lease.owner) of_owner_[*lease.owner].insert(lease.id);
}

void LeasePool::unbook(const Lease& lease) {
  free_ += lease.cost();
  leased_ -= lease.cost();
  add_to(&held_, lease.client, -lease.cost());
  for_accounts(lease.payer, [&](const Payer& account) { add_to(&used_, account, -lease.paid); });
  unpaid_.erase(lease.id);
  if (!lease.job.type.empty()) add_to(&jobs_, lease.job.type, -1);
  if (lease.session != 0) erase_from(&of_session_, lease.session, lease.id);
  if (lease.owner) erase_from(&of_owner_, *lease.owner, lease.id);
}

// Whether there was something to pay with. For those that wait it is kept, unless slots are owed:
// then as much is paid as it takes until that many are free.
bool LeasePool::pay_running() {
  bool paid = false;
  for (auto next = unpaid_.begin(); next != unpaid_.end();) {
    const int lacking = owed_ > 0 ? owed_ - free_ : 0;
    const int most = waiting_for_payers_ > 0 ? lacking : kMaxSlots;
    if (most <= 0) break;
    Lease& lease = leases_.at(*next++);
    const int more = std::min({lease.cost(), unused(lease.payer), most});
    if (more == 0) continue;
    paid = true;
    unbook(lease);
    lease.paid += more;
    book(lease);
  }
  if (paid && !shared_) in_hand_ = std::max(0, free_);
  return paid;
}

void LeasePool::end_lease(LeaseId id, Instant now, LeaseEffects* effects) {
  TOKENPOOL_CHECK(leases_.contains(id));
  end(id, effects, LeaseEnd::operator_word);
  settle(now, effects);
}

void LeasePool::end(LeaseId id, LeaseEffects* effects, LeaseEnd cause) {
  LeaseEffect effect;
  effect.lease = leases_.at(id);
  effect.session = effect.lease.session;
  effect.cause = cause;
  const bool is_in_hand = cause != LeaseEnd::session && effect.session != 0;
  effect.kind = is_in_hand ? LeaseEffect::Kind::finished : LeaseEffect::Kind::recovered;
  const bool is_released = is_in_hand && cause == LeaseEnd::process;
  ++(is_released ? counters_.released : counters_.recovered);
  close(id);
  effects->push_back(std::move(effect));
}

void LeasePool::close(LeaseId id) {
  const auto entry = leases_.find(id);
  unbook(entry->second);
  leases_.erase(entry);
  uncover(id, 0);
}

void LeasePool::uncover(LeaseId payer, int covered) {
  const auto used = used_.find({Payer::Kind::lease, {}, payer});
  if (used == used_.end()) return;
  // The jobs that it had paid for go on: they cost from now on, the newest first.
  int excess = used->second - covered;
  std::set<LeaseId, std::greater<>> jobs;
  for (const auto& [id, lease] : leases_) {
    if (lease.payer == used->first && lease.paid > 0) jobs.insert(id);
  }
  for (const LeaseId id : jobs) {
    if (excess <= 0) break;
    Lease& lease = leases_.at(id);
    const int unpaid = std::min(excess, lease.paid);
    unbook(lease);
    lease.paid -= unpaid;
    book(lease);
    excess -= unpaid;
  }
}

LeaseId LeasePool::new_id() {
  // A client may have declared any number.
  while (leases_.contains(next_id_)) next_id_ = next_id_ < kMaxNumber ? next_id_ + 1 : 1;
  return std::exchange(next_id_, next_id_ < kMaxNumber ? next_id_ + 1 : 1);
}

LeaseRequest LeasePool::take_waiting(const Place& place) {
  const auto entry = waiting_.find(place);
  TOKENPOOL_CHECK(entry != waiting_.end());
  LeaseRequest request = std::move(entry->second);
  waiting_.erase(entry);
  places_.erase(request.ticket);
  erase_from(&asked_by_, request.session, request.ticket);
  if (request.owner) erase_from(&asked_for_, *request.owner, request.ticket);
  if (request.deadline) deadlines_.erase({*request.deadline, request.ticket});
  if (request.payer.kind != Payer::Kind::nobody) --waiting_for_payers_;
  if (reserved_ == place) reserved_.reset();
  if (first_ && first_->first == place) first_.reset();
  return request;
}

void LeasePool::check() const {
  TOKENPOOL_CHECK(free_ + leased_ == supply_);
  TOKENPOOL_CHECK(in_hand_ >= 0 && in_hand_ <= std::max(0, free_));
  TOKENPOOL_CHECK(waiting_.size() == places_.size());
}

}  // namespace tokenpool::core
