#include "sim/leasing.h"

#include <algorithm>
#include <utility>

#include "core/limits.h"

namespace tokenpool::sim {
namespace {

using core::Instant;
using core::Lease;
using core::LeaseId;
using core::Payer;
using core::ProcessId;

constexpr const char* kTypes[] = {"", "", "link", "test"};
constexpr std::size_t kClients = 6;
constexpr int kChildren = 90000;
constexpr core::LeaseId kNumbersOfAnArbiter = 100000;

}  // namespace

Leasing::Leasing(int slots, Hub hub)
    : hub_(std::move(hub)), pool_(slots, 1, nullptr), slots_(slots) {
  pool_ = fresh_pool(1);
  if (!hub_.alone) return;
  lent_ = slots;
  pool_.supply(slots, {}, &effects_);
}

core::LeasePool Leasing::fresh_pool(LeaseId first_id) {
  core::LeasePool pool(slots_, first_id, [this](const Payer& payer) { return covered(payer); });
  if (!hub_.alone) pool.share();
  return pool;
}

void Leasing::act(Instant now) {
  for (Client& client : clients_) {
    if (client.session == 0 && client.returns <= now) return connect(&client, now);
    if (client.gone && chance(50)) return disconnect(&client, true, now);
  }
  if (chance(3)) return operate(now);
  if (chance(3)) return owner_ends(now);
  if (clients_.empty() || (clients_.size() < kClients && chance(10))) {
    clients_.push_back({{next_pid_++, 1}, 0, {}, now});
    return connect(&clients_.back(), now);
  }
  Client* client = &clients_[static_cast<std::size_t>(random(static_cast<int>(clients_.size())))];
  if (client->session != 0 && !client->gone) act(client, now);
  collect(now);
}

void Leasing::act(Client* client, Instant now) {
  if (chance(3)) return disconnect(client, chance(60), now);
  if (chance(1)) return move(client, now);
  const bool holds = pick_of(*client) != nullptr;
  const int what = random(100);
  if (holds && what < 45) return release(client, now);
  if (holds && what < 52) return resize(client, now);
  if (holds && what < 55) return hand_over(client);
  if (!client->asked.empty() && what < 62) return cancel(client, client->asked.begin()->first, now);
  if (client->asked.size() < 6 && !winds_up_) ask(client, now);
}

void Leasing::operate(Instant now) {
  if (!hub_.alone && chance(40)) {
    root_pays_ = !root_pays_;
    say("the implicit slot is ", root_pays_ ? "free" : "in use");
    pool_.reconsider(now, &effects_);
    return collect(now);
  }
  const std::string type = kTypes[2 + random(2)];
  std::optional<int> limit;
  if (chance(70)) limit = random(4);
  say("the limit of ", type, " is ", limit ? std::to_string(*limit) : "gone");
  limits_.erase(type);
  if (limit) limits_[type] = *limit;
  if (hub_.fault == Fault::limit_ignored) return;
  pool_.set_limits({{type, limit}}, now, &effects_);
  collect(now);
}

void Leasing::connect(Client* client, Instant now) {
  if (!winds_up_ && chance(10)) {
    say("client ", client->id.pid, " does not come back");
    return bury(client);
  }
  client->session = next_session_++;
  std::vector<LeaseId> ids;
  for (const auto& [id, held] : held_) {
    if (held.client == client->id) ids.push_back(id);
  }
  if (chance(50)) std::reverse(ids.begin(), ids.end());
  say("client ", client->id.pid, " says hello with ", ids.size(), " leases");
  for (const LeaseId id : ids) {
    Lease& lease = held_.at(id).lease;
    lease.session = client->session;
    if (!std::exchange(held_.at(id).known, true)) {
      lease.paid = std::min(lease.slots, unused(lease.payer));
      // Its job ran before: who has a reservation waits for it.
      if (first_) first_->before.insert(id);
      if (++resumed_ == expected_) grace_until_ = {};
    }
    Lease declared = lease;
    declared.paid = random(3);
    if (pool_.resume(declared, now, &effects_) != id) fail("lease ", id, " has another number");
    collect(now);
  }
}

// Its leases end, but for those that belong to processes.
void Leasing::bury(Client* client) {
  std::vector<LeaseId> ids;
  for (auto& [id, held] : held_) {
    if (held.client != client->id) continue;
    held.client = {};
    if (!held.known) ids.push_back(id);
    // The arbiter still takes it for that of the session before.
    for (const Client& one : clients_) {
      if (one.gone && held.known && one.session == held.lease.session) held.client = one.id;
    }
  }
  for (const LeaseId id : ids) held_.erase(id);
  std::erase_if(clients_, [&](const Client& one) { return &one == client; });
}

void Leasing::ask(Client* client, Instant now) {
  core::LeaseRequest request;
  request.ticket = next_ticket_++;
  request.session = client->session;
  request.client = client->id;
  request.payer = some_payer();
  if (chance(15)) {
    request.owner = ProcessId{next_pid_++, 1};
    owners_.insert(*request.owner);
  }
  request.min = chance(70) ? 1 : 1 + random(slots_ + 1);
  request.max = request.min + (chance(25) ? random(4) : 0);
  request.job.type = kTypes[random(4)];
  request.job.priority = chance(80) ? 0 : random(3) - 1;
  if (chance(30)) request.deadline = now + std::chrono::milliseconds(chance(30) ? 0 : random(500));
  say("client ", client->id.pid, " asks for ", request.min, "-", request.max, " ", request.job.type,
      " (", request.ticket, ")");
  request.since = now;
  client->asked[request.ticket] = {request};
  look_at_payers();
  pool_.request(std::move(request), now, &effects_);
}

Payer Leasing::some_payer() {
  if (!hub_.alone && chance(15)) return {Payer::Kind::root, {}, 0};
  const auto process = hub_.alone || !chance(20) ? std::nullopt : hub_.somebody();
  if (process) {
    const ProcessId child{kChildren + random(2), 1};
    return {Payer::Kind::process, *process, 0, chance(80) ? child : ProcessId{}};
  }
  if (held_.empty() || !chance(15)) return {};
  auto entry = held_.begin();
  std::advance(entry, random(static_cast<int>(held_.size())));
  return {Payer::Kind::lease, {}, entry->first};
}

Leasing::Held* Leasing::pick_of(const Client& client) {
  std::vector<Held*> list;
  for (auto& [id, held] : held_) {
    if (held.client == client.id && held.known) list.push_back(&held);
  }
  return list.empty() ? nullptr
                      : list[static_cast<std::size_t>(random(static_cast<int>(list.size())))];
}

void Leasing::release(Client* client, Instant now) {
  const Lease lease = pick_of(*client)->lease;
  const int slots = chance(70) ? 0 : 1 + random(lease.slots);
  const int left = slots == 0 || slots >= lease.slots ? 0 : lease.slots - slots;
  say("client ", client->id.pid, " releases ", lease.slots - left, " of lease ", lease.id);
  shrink(lease.id, left);
  if (pool_.release(lease.id, slots, now, &effects_) != left) fail("released something else");
}

void Leasing::resize(Client* client, Instant now) {
  const Lease lease = pick_of(*client)->lease;
  const int min = 1 + random(lease.slots + 1);
  const int max = min + random(3);
  const bool nobody_waits = waiting() == 0;
  if (nobody_waits && max > lease.slots) hub_.offer(max - lease.slots - std::max(0, free()));
  const auto slots = pool_.resize(lease.id, min, max, now, &effects_);
  say("client ", client->id.pid, " resizes lease ", lease.id, " to ", slots.value_or(0));
  if (!slots) {
    if (min <= lease.slots) fail("fewer slots were not to be had");
    return;
  }
  if (*slots < min || *slots > max) fail("resized to what was not asked for");
  if (*slots > lease.slots) {
    if (!nobody_waits) fail("lease ", lease.id, " has grown beside those who wait");
    if (!grants(now)) fail("lease ", lease.id, " has grown although nothing is granted now");
    if (*slots - lease.slots > grantable()) fail("grown beyond what there is");
    in_hand_ -= std::min(in_hand_, *slots - lease.slots);
  }
  shrink(lease.id, *slots);
}

void Leasing::hand_over(Client* client) {
  Held* held = pick_of(*client);
  const ProcessId owner{next_pid_++, 1};
  held->lease.owner = owner;
  owners_.insert(owner);
  pool_.hand_to(held->lease.id, owner);
}

void Leasing::cancel(Client* client, core::Ticket ticket, Instant now) {
  say("client ", client->id.pid, " cancels ", ticket);
  client->asked.erase(ticket);
  if (!pool_.cancel(ticket, now, &effects_)) fail("request ", ticket, " is forgotten");
}

void Leasing::disconnect(Client* client, bool dies, Instant now) {
  const core::SessionId session = std::exchange(client->session, 0);
  say("client ", client->id.pid, dies ? " dies" : " loses its connection");
  for (auto& [id, held] : held_) {
    if (held.client != client->id) continue;
    held.lease.session = 0;
    // It ends for the arbiter; who lives on will declare it anew.
    if (!held.lease.owner) ending_.insert(id);
  }
  for (const LeaseId id : ending_) lose(id);
  client->asked.clear();
  client->returns = now + std::chrono::milliseconds(50 + random(300));
  if (dies) bury(client);
  if (hub_.fault == Fault::session_kept && !ending_.empty()) return ending_.clear();
  pool_.session_ended(session, now, &effects_);
  collect(now);
  if (!ending_.empty()) fail("lease ", *ending_.begin(), " has outlived its session");
}

// It connects anew before the arbiter has seen that its connection is closed.
void Leasing::move(Client* client, Instant now) {
  Client before = *client;
  // What is granted to the old session from now on is nobody's.
  before.id.start = ++ghosts_;
  before.gone = true;
  client->session = 0;
  client->asked.clear();
  client->returns = now;
  clients_.push_back(std::move(before));
}

void Leasing::owner_ends(Instant now) {
  if (owners_.empty()) return;
  auto entry = owners_.begin();
  std::advance(entry, random(static_cast<int>(owners_.size())));
  const ProcessId owner = *entry;
  owners_.erase(entry);
  say("process ", owner.pid, " ends, for its leases");
  std::vector<LeaseId> ids;
  for (auto& [id, held] : held_) {
    if (held.lease.owner == owner) ids.push_back(id);
  }
  for (Client& client : clients_) {
    for (auto& [ticket, asked] : client.asked) {
      if (asked.request.owner == owner) asked.request.owner.reset();
    }
  }
  for (const LeaseId id : ids) {
    if (held_.at(id).known) ending_.insert(id);
    shrink(id, 0);
  }
  if (hub_.fault == Fault::owner_unseen && !ending_.empty()) return ending_.clear();
  pool_.owner_ended(owner, now, &effects_);
  collect(now);
  if (!ending_.empty()) fail("lease ", *ending_.begin(), " has outlived its process");
}

void Leasing::set_paused(bool paused, Instant now) {
  say(paused ? "paused" : "goes on");
  paused_ = paused;
  pool_.set_paused(paused, now, &effects_);
  collect(now);
}

void Leasing::set_slots(int slots, Instant now) {
  const int more = slots - std::exchange(slots_, slots);
  if (more < 0) note_before();
  if (hub_.alone) {
    lent_ += more;
    pool_.supply(more, now, &effects_);
  }
  pool_.set_ceiling(slots, now, &effects_);
  collect(now);
}

void Leasing::restart(Instant now) {
  core::LeasePool next = fresh_pool(++arbiters_ * kNumbersOfAnArbiter);
  grace_until_ = now + core::kResumeGrace;
  // `run` knows how many leases there were, dead clients' too.
  resumed_ = 0;
  expected_ = !hub_.alone && chance(50) ? held_.size() : 0;
  if (hub_.fault != Fault::grace_skipped) next.set_grace(grace_until_, expected_);
  next.set_paused(paused_, now, &effects_);
  for (const auto& [type, limit] : limits_) {
    if (hub_.fault != Fault::limit_ignored) next.set_limits({{type, limit}}, now, &effects_);
  }
  next.supply(lent_, now, &effects_);
  in_hand_ = lent_;
  owed_ = 0;
  pool_ = std::move(next);
  first_.reset();
  // Nobody is left to declare what belongs to a process.
  std::erase_if(held_, [](const auto& entry) { return entry.second.client.pid == 0; });
  for (auto& [id, held] : held_) {
    held.known = false;
    held.lease.paid = 0;
  }
  for (Client& client : clients_) {
    client.session = 0;
    client.asked.clear();
    client.returns = now + std::chrono::milliseconds(chance(70) ? random(280) : random(900));
  }
  for (std::size_t i = clients_.size(); i-- > 0;) {
    if (clients_[i].gone) bury(&clients_[i]);
  }
  collect(now);
}

void Leasing::wind_up(Instant now) {
  winds_up_ = true;
  root_pays_ = !hub_.alone;
  pool_.reconsider(now, &effects_);
  collect(now);
}

void Leasing::let_go(Instant now) {
  for (Client& client : clients_) {
    if (client.session == 0 && client.returns <= now) return connect(&client, now);
    if (client.gone) return disconnect(&client, true, now);
    if (pick_of(client) == nullptr) continue;
    release(&client, now);
    return collect(now);
  }
  if (!owners_.empty()) return owner_ends(now);
  // The implicit slot is for those that run on it: who asks for it beside all tokens waits in vain.
  for (Client& client : clients_) {
    for (const auto& [ticket, asked] : client.asked) {
      if (hub_.alone || needs(asked.request) < slots_) continue;
      cancel(&client, ticket, now);
      return collect(now);
    }
  }
}

void Leasing::end_all(Instant now) {
  while (!clients_.empty()) {
    Client* client = &clients_.front();
    client->session == 0 ? bury(client) : disconnect(client, true, now);
  }
  while (!owners_.empty()) owner_ends(now);
}

}  // namespace tokenpool::sim
