#include "arbiter/leases_desk.h"

#include <algorithm>
#include <utility>

#include <unistd.h>

#include "arbiter/run_status.h"
#include "core/limits.h"
#include "proc/clock.h"
#include "proc/process.h"
#include "session/identity.h"
#include "session/named_process.h"

namespace tokenpool::arbiter {
namespace {

using core::Instant;
using core::Payer;
using core::ProcessId;

// Looking at all processes of the build takes at most so large a part of the time.
constexpr int kLookShare = 10;

// What is not there now may be there in a while, where the slots follow the machine.
int ceiling_of(const LeasesDeskContext& context) {
  const board::Settings settings = settings_of(*context.begin, context.left_behind->settings);
  return settings.fixed ? settings.slots : context.begin->slots.max;
}

}  // namespace

LeasesDesk::LeasesDesk(const LeasesDeskContext& context, Instant now)
    : context_(context),
      tracked_(is_tracked(*context.begin)),
      config_(session::own_config({context.begin->cookie.data(), context.begin->cookie.size()}, 1)),
      leases_(ceiling_of(context), session::first_lease_of(config_.epoch),
              [this](const Payer& payer) { return covered(payer); }),
      dispatcher_(config_, &leases_, this, now),
      connections_(&dispatcher_, ::geteuid()),
      slots_(eyes_of_slots(), settings_of(*context.begin, context.left_behind->settings), now),
      now_(now),
      over_(context.begin->left) {
  const board::LeftBehind& left = *context.left_behind;
  if (left.leases > 0) leases_.set_grace(now + core::kResumeGrace, left.leases);
  kept_limits_ = context.log->limits();
  (void)leases_.set_limits({kept_limits_.begin(), kept_limits_.end()}, now, &lease_effects_);
  leases_.set_paused(settings().paused, now, &lease_effects_);
  leases_.supply(left.lent, now, &lease_effects_);
  leases_.share();
}

SlotKeeperContext LeasesDesk::eyes_of_slots() {
  return {
      .pool = context_.pool,
      .effects = context_.effects,
      .apply = context_.apply,
      .level = context_.level,
      .owed = context_.owed,
      .leases = &leases_,
      .holder_of = [this](const core::Lease& lease) { return holder_of(lease); },
      .process_of = [this](core::SessionId session) { return dispatcher_.process_of(session); },
      .watch = [this](ProcessId who) { (void)watch(who); },
      .config = context_.config,
      .begin = context_.begin,
      .is_client = [this](ProcessId who) { return context_.kin->is_client(who) || uses_fifo(who); },
      .root = [this] { return context_.kin->root(); },
      .log = context_.log,
      .tell = context_.tell};
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
  if (root_is_free_ && !leases_.leases().empty()) root_is_free_ = !root_has_client();
  wants_fifo_ = false;
  for (bool rests = false; !rests;) {
    if (tracked_) {
      core::balance(context_.pool, &leases_, now, context_.effects, &lease_effects_);
    } else {
      wants_fifo_ = core::balance_untracked(context_.pool, &leases_, context_.level(), now,
                                            context_.effects, &lease_effects_);
    }
    rests = context_.effects->empty();
    context_.apply();
  }
  answer();
}

void LeasesDesk::flush() {
  if (leases_.limits() != kept_limits_) {
    kept_limits_ = leases_.limits();
    context_.log->keep_limits(kept_limits_);
  }
  connections_.flush();
}

void LeasesDesk::process_ended(ProcessId who, bool client, Instant now) {
  now_ = now;
  dispatcher_.process_ended(who, now);
  slots_.process_ended(who, now);
  if (client && (leases_.waiting_count() > 0 || leases_.leased() > 0)) {
    look_at_root();
    leases_.reconsider(now, &lease_effects_);
  }
}

void LeasesDesk::advance(Instant now) {
  now_ = now;
  dispatcher_.advance(now);
  slots_.advance(now);
  if (look_is_missing_ && look_due_ <= now) {
    look_at_root();
    leases_.reconsider(now, &lease_effects_);
  }
}

std::optional<Instant> LeasesDesk::next_deadline() const {
  auto due = dispatcher_.next_deadline();
  const auto at = [&due](Instant when) { due = due ? std::min(*due, when) : when; };
  if (const auto other = slots_.next_deadline()) at(*other);
  if (look_is_missing_) at(look_due_);
  return due;
}

bool LeasesDesk::is_idle() const {
  return leases_.waiting_count() == 0 && leases_.leases().empty() && context_.pool->lent() == 0 &&
         !dispatcher_.has_subscribers();
}

// Where holders are not known, the books tell nothing.
void LeasesDesk::tell_of_tokens() {
  if (!dispatcher_.has_subscribers() || !tracked_) return news_.forget();
  const auto command_of = [this](ProcessId who) {
    const proc::WatchedProcess* known = context_.watched->find(who.pid);
    return known != nullptr ? known->command : proc::command_of(who.pid);
  };
  news_.look(*context_.pool, command_of,
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

bool LeasesDesk::watch(ProcessId who) { return context_.watched->add(who); }

session::Standing LeasesDesk::standing(std::optional<ProcessId> process, core::LeaseId under,
                                       bool launcher) {
  session::Standing standing;
  if (!process) {
    if (leases_.find(under) != nullptr) standing.payer = {Payer::Kind::lease, {}, under};
    return standing;
  }
  standing.client = *process;
  const auto info = proc::read_process(process->pid);
  if (launcher && info) {
    if (const auto parent = proc::read_process(info->parent)) standing.client = parent->id;
  }
  standing.payer = payer_of(*process, under);
  return standing;
}

// Nearest first: who started it, and as what.
Payer LeasesDesk::payer_of(ProcessId process, core::LeaseId under) {
  const auto info = proc::read_process(process.pid);
  const bool is_known = leases_.find(under) != nullptr;
  // Who holds it comes back to a new arbiter at the same time as those below it.
  const bool is_expected = under != 0 && !is_known && leases_.in_grace();
  const Payer named = is_known || is_expected ? Payer{Payer::Kind::lease, {}, under, {}} : Payer{};
  if (!info || is_expected) return named;
  const auto ancestors = proc::ancestors_below(*info, context_.config->front);
  // A launcher below a launcher is the job of one lease and holds another, so the number decides.
  if (is_of(under, process)) return named;
  ProcessId child = process;
  for (const ProcessId ancestor : ancestors) {
    if (is_of(under, ancestor)) return named;
    if (const core::LeaseId lease = lease_of(ancestor); lease != 0) {
      return {Payer::Kind::lease, {}, lease};
    }
    if (is_client(ancestor)) return {Payer::Kind::process, ancestor, 0, child};
    child = ancestor;
  }
  if (ancestors.empty() && info->parent != context_.config->front)
    return named;  // not of the build
  return {Payer::Kind::root, {}, 0};
}

bool LeasesDesk::is_client(ProcessId who) const {
  // An old ninja has none of it, a make that left the pool has closed what it inherited.
  return context_.kin->is_client(who) && (tracked_ || uses_fifo(who));
}

bool LeasesDesk::uses_fifo(ProcessId who) const {
  return proc::uses_file(who.pid, context_.config->fifo->id(),
                         {context_.begin->read_end, context_.begin->write_end});
}

bool LeasesDesk::is_of(core::LeaseId id, ProcessId process) const {
  const core::Lease* lease = leases_.find(id);
  if (lease == nullptr) return false;
  const core::SessionId session = dispatcher_.session_of(process);
  return lease->owner == process || (session != 0 && lease->session == session);
}

core::LeaseId LeasesDesk::lease_of(ProcessId process) const {
  if (const core::LeaseId lease = leases_.any_of(process); lease != 0) return lease;
  const core::SessionId session = dispatcher_.session_of(process);
  return session == 0 ? 0 : leases_.any_of(session);
}

void LeasesDesk::asks(const session::Standing& standing) {
  if (standing.payer.kind == Payer::Kind::root) look_at_root();
}

int LeasesDesk::covered(const Payer& payer) const {
  switch (payer.kind) {
    case Payer::Kind::root:
      return root_is_free_ ? 1 : 0;
    case Payer::Kind::process: {
      // Whose tokens nobody counts is believed to have one for each child.
      if (!tracked_) return core::kMaxSlots;
      const auto* account = context_.pool->ledger().find(payer.process);
      return 1 + (account == nullptr ? 0 : account->held());
    }
    case Payer::Kind::nobody:
    case Payer::Kind::lease:
      return 0;
  }
  return 0;
}

// The command's implicit slot is in use while a client of tokens runs that no lease was taken for.
// Who has made a call is known. For those that are clients only by their names all processes have
// to be looked at, so that is not done for each request: one that came meanwhile is found at the
// next look, as one is that comes right behind a look.
void LeasesDesk::look_at_root() {
  const bool has_client = root_has_client();
  const bool may_look = look_due_ <= now_;
  look_is_missing_ = !has_client && !may_look && !root_is_free_;
  if (has_client) root_is_free_ = false;
  if (has_client || !may_look) return;
  const Instant begin = proc::now();
  context_.kin->look_for_clients();
  look_due_ = proc::now() + kLookShare * (proc::now() - begin);
  root_is_free_ = !root_has_client();
}

bool LeasesDesk::root_has_client() const {
  const auto& accounts = context_.pool->ledger().accounts();
  return std::any_of(accounts.begin(), accounts.end(), [this](const auto& entry) {
    const core::Account& account = entry.second;
    if (!account.client && account.held() == 0) return false;
    if (lease_of(account.who) != 0) return false;
    return std::none_of(account.ancestors.begin(), account.ancestors.end(),
                        [this](ProcessId ancestor) { return lease_of(ancestor) != 0; });
  });
}

void LeasesDesk::offer_for_resize(int slots) {
  if (leases_.waiting_count() > 0 || slots <= leases_.free()) return;
  const int more = std::min(slots - std::max(0, leases_.free()), context_.pool->lendable());
  if (more <= 0) return;
  context_.pool->lend(more, now_, context_.effects);
  context_.apply();
  answer();
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

ProcessId LeasesDesk::holder_of(const core::Lease& lease) const {
  auto holder = lease.owner;
  if (!holder && lease.session != 0) holder = dispatcher_.process_of(lease.session);
  return holder.value_or(lease.client);
}

std::vector<wire::UncooperativeRow> LeasesDesk::uncooperative() const {
  return slots_.uncooperative(now_);
}

int LeasesDesk::frozen_jobs() const { return slots_.frozen_jobs(); }

void LeasesDesk::describe_build(wire::StatusResult* status) const {
  describe_run({.pool = *context_.pool,
                .watched = *context_.watched,
                .config = *context_.config,
                .begin = *context_.begin,
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
  const core::Pool& pool = *context_.pool;
  // Where nobody's calls are seen, what lies in the FIFO is free, less what is too many.
  const int tokens = tracked_ ? pool.free() + pool.reserved() : context_.level() - context_.owed();
  return std::max(0, tokens + leases_.free());
}

}  // namespace tokenpool::arbiter
