#include "arbiter/leases_desk.h"

#include <algorithm>
#include <utility>

#include <unistd.h>

#include "arbiter/carrier.h"
#include "arbiter/run_status.h"
#include "proc/process.h"
#include "session/identity.h"
#include "session/named_process.h"

namespace tokenpool::arbiter {
namespace {

using core::Instant;
using core::Payer;
using core::ProcessId;

// What is not there now may be there in a while, where the slots follow the machine.
int ceiling_of(const board::Begin& begin, const board::Settings& published) {
  const board::Settings settings = settings_of(begin, published);
  return settings.fixed ? settings.slots : begin.slots.max;
}

}  // namespace

LeasesDesk::LeasesDesk(const RunParts& parts, const board::LeftBehind& left, Instant now)
    : parts_(parts),
      tracked_(is_tracked(*parts.begin)),
      config_(session::own_config({parts.begin->cookie.data(), parts.begin->cookie.size()}, 1)),
      payers_(parts, &leases_, &dispatcher_, tracked_),
      leases_(ceiling_of(*parts.begin, left.settings), session::first_lease_of(config_.epoch),
              [this](const Payer& payer) { return payers_.covered(payer); }),
      dispatcher_(config_, &leases_, this, now),
      connections_(&dispatcher_, ::geteuid()),
      slots_(parts, &leases_, &dispatcher_, settings_of(*parts.begin, left.settings), now),
      now_(now),
      over_(parts.begin->left) {
  if (left.leases > 0) leases_.set_grace(now + core::kResumeGrace, left.leases);
  kept_limits_ = parts_.log->limits();
  (void)leases_.set_limits({kept_limits_.begin(), kept_limits_.end()}, now, &lease_effects_);
  leases_.set_paused(settings().paused, now, &lease_effects_);
  leases_.supply(left.lent, now, &lease_effects_);
  leases_.share();
}

void LeasesDesk::serve(Instant now, const std::function<void()>& publish) {
  now_ = now;
  connections_.serve([&] {
    settle(now);
    publish();
  });
}

void LeasesDesk::supply(int slots, Instant now) { leases_.supply(slots, now, &lease_effects_); }

void LeasesDesk::settle(Instant now) {
  now_ = now;
  // A client that nobody took a lease for may have come into view.
  if (!leases_.leases().empty()) payers_.recheck_root();
  wants_fifo_ = false;
  for (bool rests = false; !rests;) {
    if (tracked_) {
      core::balance(parts_.pool, &leases_, now, parts_.effects, &lease_effects_);
    } else {
      wants_fifo_ = core::balance_untracked(parts_.pool, &leases_, parts_.config->fifo->level(),
                                            now, parts_.effects, &lease_effects_);
    }
    rests = parts_.effects->empty();
    parts_.carrier->carry_out(now_);
  }
  answer();
}

void LeasesDesk::flush() {
  if (leases_.limits() != kept_limits_) {
    kept_limits_ = leases_.limits();
    parts_.log->keep_limits(kept_limits_);
  }
  connections_.flush();
}

void LeasesDesk::process_ended(ProcessId who, bool client, Instant now) {
  now_ = now;
  dispatcher_.process_ended(who, now);
  slots_.process_ended(who, now);
  if (client && (leases_.waiting_count() > 0 || leases_.leased() > 0)) {
    payers_.look_at_root(now);
    leases_.reconsider(now, &lease_effects_);
  }
}

void LeasesDesk::advance(Instant now) {
  now_ = now;
  dispatcher_.advance(now);
  slots_.advance(now);
  if (const auto look = payers_.next_look(); look && *look <= now) {
    payers_.look_at_root(now);
    leases_.reconsider(now, &lease_effects_);
  }
}

std::optional<Instant> LeasesDesk::next_deadline() const {
  auto due = dispatcher_.next_deadline();
  const auto at = [&due](Instant when) { due = due ? std::min(*due, when) : when; };
  if (const auto other = slots_.next_deadline()) at(*other);
  if (const auto look = payers_.next_look()) at(*look);
  return due;
}

bool LeasesDesk::is_idle() const {
  return leases_.waiting_count() == 0 && leases_.leases().empty() && parts_.pool->lent() == 0 &&
         !dispatcher_.has_subscribers();
}

// Where holders are not known, the books tell nothing.
void LeasesDesk::tell_of_tokens() {
  if (!dispatcher_.has_subscribers() || !tracked_) return news_.forget();
  const auto command_of = [this](ProcessId who) {
    const proc::WatchedProcess* known = parts_.watched->find(who.pid);
    return known != nullptr ? known->command : proc::command_of(who.pid);
  };
  news_.look(*parts_.pool, command_of,
             [this](const session::TokenEvent& event) { dispatcher_.tell_of_tokens(event); });
}

void LeasesDesk::close(Instant now) {
  now_ = now;
  connections_.stop_listening();
  connections_.close_all();
  settle(now);
}

void LeasesDesk::command_ended(bool all_ended, Instant now) {
  now_ = now;
  over_ = true;
  slots_.command_ended(now);
  if (all_ended) close(now);
}

std::optional<ProcessId> LeasesDesk::find(const session::Peer& peer,
                                          const wire::NamedProcess& named) {
  return session::find_named(peer, named);
}

bool LeasesDesk::is_below(ProcessId who, ProcessId ancestor) const {
  return session::is_below_process(who, ancestor);
}

bool LeasesDesk::was_started_under(ProcessId who, core::LeaseId lease) const {
  return session::environment_names(who, lease);
}

bool LeasesDesk::watch(ProcessId who) { return parts_.watched->add(who); }

void LeasesDesk::offer_for_resize(int slots) {
  if (leases_.waiting_count() > 0 || slots <= leases_.free()) return;
  const int more = std::min(slots - std::max(0, leases_.free()), parts_.pool->lendable());
  if (more <= 0) return;
  parts_.pool->lend(more, now_, parts_.effects);
  parts_.carrier->carry_out(now_);
  answer();
}

session::Standing LeasesDesk::standing(std::optional<ProcessId> process, core::LeaseId under,
                                       bool launcher) {
  return payers_.standing(process, under, launcher);
}

void LeasesDesk::asks(const session::Standing& standing) {
  if (standing.payer.kind == Payer::Kind::root) payers_.look_at_root(now_);
}

session::SlotCount LeasesDesk::slots() const { return {settings().slots, slots_.range()}; }

void LeasesDesk::set_slots(int slots) {
  slots_.set(slots, now_);
  leases_.set_ceiling(slots, now_, &lease_effects_);
  answer();
}

void LeasesDesk::set_paused(bool paused) {
  slots_.set_paused(paused, now_);
  leases_.set_paused(paused, now_, &lease_effects_);
  answer();
}

// At once: the next call may cancel what is granted by it.
void LeasesDesk::answer() { dispatcher_.carry_out(&lease_effects_, now_); }

std::vector<wire::UncooperativeRow> LeasesDesk::uncooperative() const {
  return slots_.uncooperative(now_);
}

int LeasesDesk::frozen_jobs() const { return slots_.frozen_jobs(); }

void LeasesDesk::describe_build(wire::StatusResult* status) const {
  describe_run({.pool = *parts_.pool,
                .watched = *parts_.watched,
                .config = *parts_.config,
                .begin = *parts_.begin,
                .tracked = tracked_,
                .over = over_,
                .now = now_},
               status);
}

session::PidsSeen LeasesDesk::pids_seen_by(ProcessId viewer) const {
  return session::pids_of_viewer(viewer);
}

int LeasesDesk::tokens_held() const { return std::max(0, slots_.tokens_out()); }

int LeasesDesk::free_slots() const {
  const core::Pool& pool = *parts_.pool;
  // Where nobody's calls are seen, what lies in the FIFO is free, less what is too many.
  const int tokens = tracked_ ? pool.free() + pool.reserved()
                              : parts_.config->fifo->level() - parts_.carrier->owed();
  return std::max(0, tokens + leases_.free());
}

}  // namespace tokenpool::arbiter
