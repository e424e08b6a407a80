#include "host/run_leases.h"

#include <algorithm>
#include <utility>

#include <unistd.h>

#include "core/limits.h"
#include "host/dispatcher_config.h"
#include "host/named_process.h"
#include "proc/process.h"

namespace tokenpool::host {
namespace {

using core::Instant;
using core::Payer;
using core::ProcessId;

}  // namespace

Settings settings_of(const Begin& begin, const Settings& published) {
  return published.slots > 0 ? published : Settings{.slots = begin.issued + 1};
}

int tokens_of(const Settings& settings) {
  return settings.paused ? 0 : std::max(0, settings.slots - 1 - settings.withheld);
}

RunLeases::RunLeases(const RunLeasesContext& context, Instant now)
    : context_(context),
      settings_(settings_of(*context.begin, context.left_behind->settings)),
      tracked_(context.begin->tracked && !context.begin->bypass),
      config_(own_config({context.begin->cookie.data(), context.begin->cookie.size()}, 1)),
      leases_(settings_.fixed ? settings_.slots : context.begin->slots.max,
              first_lease_of(config_.epoch), [this](const Payer& payer) { return covered(payer); }),
      dispatcher_(config_, &leases_, this, now),
      connections_(&dispatcher_, ::geteuid()),
      now_(now) {
  const LeftBehind& left = *context.left_behind;
  const Begin& begin = *context.begin;
  if (left.leases > 0) leases_.set_grace(now + core::kResumeGrace, left.leases);
  leases_.set_paused(settings_.paused, now, &lease_effects_);
  leases_.supply(left.lent, now, &lease_effects_);
  leases_.share();
  // What outlives its build may stay for weeks.
  if (begin.slots.is_elastic() && !settings_.fixed && !begin.left) {
    elastic_.emplace(begin.slots, settings_.slots, context.config->group.folder() + "/cpu.stat",
                     now);
  }
  if (!begin.left) {
    const auto holder_of = [this](const core::Lease& lease) { return this->holder_of(lease); };
    const auto out = [this] { return tokens_out(); };
    rescue_.emplace(RunRescueContext{.pool = context_.pool,
                                     .effects = context_.effects,
                                     .apply = context_.apply,
                                     .leases = &leases_,
                                     .out = out,
                                     .is_exhausted = [this] { return use().exhausted; },
                                     .holder_of = holder_of,
                                     .front = context.config->front,
                                     .tracked = tracked_,
                                     .patience = std::chrono::seconds(begin.standstill),
                                     .has_frozen = [this] { return frozen_jobs() > 0; },
                                     .log = context_.log,
                                     .tell = context_.tell},
                    now);
    billing_.emplace(RunBillingContext{.pool = context_.pool,
                                       .leases = &leases_,
                                       .holder_of = holder_of,
                                       .out = out,
                                       .group = context.config->group.folder(),
                                       .front = context.config->front,
                                       .tracked = tracked_,
                                       .log = context_.log},
                     now);
  }
  // Whoever was here before may have died over it.
  if (begin.resume) thaw_all(context_.config->board, true);
  if (begin.enforce && !begin.left && !begin.bypass) start_enforcement();
}

void RunLeases::start_enforcement() {
  RunEnforcementContext eyes{
      .pool = context_.pool,
      .leases = &leases_,
      .process_of = [this](core::SessionId session) { return dispatcher_.process_of(session); },
      // What is stuck has another slot in its place.
      .in_use = [this] { return use().in_use - (tracked_ ? context_.pool->minted() : 0); },
      .allowed = [this] { return std::max(1, settings_.slots - settings_.withheld); },
      .uncooperative =
          [this] { return billing_ ? billing_->accused_processes() : std::vector<ProcessId>(); },
      .front = context_.config->front,
      .board = context_.config->board,
      .tell = context_.tell};
  enforcement_.emplace(std::move(eyes), now_);
}

void RunLeases::serve(Instant now, const std::function<void()>& publish) {
  now_ = now;
  connections_.serve([&] {
    settle(now);
    publish();
  });
}

void RunLeases::supply(int slots, Instant now) { leases_.supply(slots, now, &lease_effects_); }

void RunLeases::settle(Instant now) {
  now_ = now;
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
  dispatcher_.carry_out(&lease_effects_, now);
}

void RunLeases::process_ended(ProcessId who, bool client, Instant now) {
  now_ = now;
  dispatcher_.process_ended(who, now);
  if (client && leases_.waiting_count() > 0) {
    look_at_root();
    leases_.reconsider(now, &lease_effects_);
  }
}

void RunLeases::advance(Instant now) {
  now_ = now;
  dispatcher_.advance(now);
  if (elastic_ && !settings_.paused && elastic_->due() <= now) follow_the_machine();
  bill();
  if (enforcement_ && enforcement_->due() <= now) enforcement_->step(now);
  if (rescue_ && rescue_->due() <= now) rescue_->step(now);
}

std::optional<Instant> RunLeases::next_deadline() const {
  auto due = dispatcher_.next_deadline();
  if (elastic_ && !settings_.paused) due = due ? std::min(*due, elastic_->due()) : elastic_->due();
  if (billing_) due = due ? std::min(*due, billing_->due()) : billing_->due();
  if (rescue_) due = due ? std::min(*due, rescue_->due()) : rescue_->due();
  if (enforcement_) due = due ? std::min(*due, enforcement_->due()) : enforcement_->due();
  // What an arbiter that died withheld.
  if (!billing_ && settings_.withheld > 0) due = now_;
  return due;
}

bool RunLeases::is_idle() const {
  return leases_.waiting_count() == 0 && leases_.leases().empty() && context_.pool->lent() == 0;
}

void RunLeases::close(Instant now) {
  now_ = now;
  connections_.stop_listening();
  connections_.close_all();
  settle(now);
}

void RunLeases::command_ended(bool all_ended, Instant now) {
  now_ = now;
  if (billing_) billing_->close(now);
  billing_.reset();
  rescue_.reset();
  enforcement_.reset();
  bill();
  if (all_ended) close(now);
}

std::optional<ProcessId> RunLeases::find(const Peer& peer, const wire::NamedProcess& named) {
  return find_named(peer, named);
}

bool RunLeases::watch(ProcessId who) { return context_.watched->add(who); }

Standing RunLeases::standing(std::optional<ProcessId> process, core::LeaseId under, bool launcher) {
  Standing standing;
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
Payer RunLeases::payer_of(ProcessId process, core::LeaseId under) {
  const auto info = proc::read_process(process.pid);
  const Payer named =
      leases_.find(under) != nullptr ? Payer{Payer::Kind::lease, {}, under, {}} : Payer{};
  if (!info) return named;
  const auto ancestors = proc::ancestors_below(*info, context_.config->front);
  // A launcher below a launcher is the job of one lease and holds another, so the number decides.
  if (is_of(under, process)) return named;
  ProcessId child = process;
  for (const ProcessId ancestor : ancestors) {
    if (is_of(under, ancestor)) return named;
    if (const core::LeaseId lease = lease_of(ancestor); lease != 0) {
      return {Payer::Kind::lease, {}, lease};
    }
    if (context_.kin->is_client(ancestor)) return {Payer::Kind::process, ancestor, 0, child};
    child = ancestor;
  }
  if (ancestors.empty() && info->parent != context_.config->front)
    return named;  // not of the build
  return {Payer::Kind::root, {}, 0};
}

bool RunLeases::is_of(core::LeaseId id, ProcessId process) const {
  const core::Lease* lease = leases_.find(id);
  if (lease == nullptr) return false;
  const core::SessionId session = dispatcher_.session_of(process);
  return lease->owner == process || (session != 0 && lease->session == session);
}

core::LeaseId RunLeases::lease_of(ProcessId process) const {
  if (const core::LeaseId lease = leases_.any_of(process); lease != 0) return lease;
  const core::SessionId session = dispatcher_.session_of(process);
  return session == 0 ? 0 : leases_.any_of(session);
}

void RunLeases::asks(const Standing& standing) {
  if (standing.payer.kind == Payer::Kind::root) look_at_root();
}

int RunLeases::covered(const Payer& payer) const {
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
void RunLeases::look_at_root() {
  context_.kin->look_for_clients();
  const auto& accounts = context_.pool->ledger().accounts();
  root_is_free_ = std::none_of(accounts.begin(), accounts.end(), [this](const auto& entry) {
    const core::Account& account = entry.second;
    if (!account.client && account.held() == 0) return false;
    if (lease_of(account.who) != 0) return false;
    return std::none_of(account.ancestors.begin(), account.ancestors.end(),
                        [this](ProcessId ancestor) { return lease_of(ancestor) != 0; });
  });
}

void RunLeases::offer_for_resize(int slots) {
  if (leases_.waiting_count() > 0 || slots <= leases_.free()) return;
  const int more = std::min(slots - std::max(0, leases_.free()), context_.pool->lendable());
  if (more <= 0) return;
  context_.pool->lend(more, now_, context_.effects);
  context_.apply();
}

SlotCount RunLeases::slots() const {
  const core::SlotRange fixed{settings_.slots, settings_.slots};
  return {settings_.slots, elastic_ ? context_.begin->slots : fixed};
}

void RunLeases::set_slots(int slots) {
  elastic_.reset();
  settings_.fixed = true;
  settings_.slots = slots;
  adjust_issued();
  leases_.set_ceiling(slots, now_, &lease_effects_);
}

void RunLeases::set_paused(bool paused) {
  settings_.paused = paused;
  adjust_issued();
  leases_.set_paused(paused, now_, &lease_effects_);
}

// Where nobody's calls are seen, what is not in the FIFO and not lent is out.
int RunLeases::tokens_out() const {
  const core::Pool& pool = *context_.pool;
  if (tracked_) return pool.ledger().outstanding();
  return pool.issued() + context_.owed() - context_.level() - pool.lent();
}

ProcessId RunLeases::holder_of(const core::Lease& lease) const {
  auto holder = lease.owner;
  if (!holder && lease.session != 0) holder = dispatcher_.process_of(lease.session);
  return holder.value_or(lease.client);
}

PoolUse RunLeases::use() const {
  const core::Pool& pool = *context_.pool;
  PoolUse use;
  const int free = tracked_ ? pool.free() + pool.reserved() : context_.level();
  use.in_use = 1 + std::max(0, tokens_out()) + leases_.leased();
  use.exhausted = free == 0 && leases_.free() <= 0;
  for (const core::LeaseRequest* request : leases_.waiting()) {
    use.needed = std::max(use.needed, request->min + 1);  // the implicit slot is not theirs
  }
  return use;
}

void RunLeases::follow_the_machine() {
  const int slots = elastic_->step(use(), now_);
  if (slots == settings_.slots) return;
  settings_.slots = slots;
  adjust_issued();
}

void RunLeases::adjust_issued() {
  context_.pool->set_issued(tokens_of(settings_), now_, context_.effects);
  context_.apply();
}

// Those that ignore the pool are paid for by the rest of their build: at least the implicit slot
// stays to it.
void RunLeases::bill() {
  if (billing_ && billing_->due() <= now_ && billing_->step(now_)) context_.tell();
  const int withheld = billing_ ? std::min(billing_->withheld(), settings_.slots - 1) : 0;
  if (withheld == settings_.withheld) return;
  settings_.withheld = withheld;
  adjust_issued();
}

std::vector<wire::UncooperativeRow> RunLeases::uncooperative() const {
  return billing_ ? billing_->accused(now_) : std::vector<wire::UncooperativeRow>();
}

int RunLeases::frozen_jobs() const { return enforcement_ ? enforcement_->frozen() : 0; }

int RunLeases::tokens_held() const { return std::max(0, context_.pool->ledger().outstanding()); }

int RunLeases::free_slots() const {
  return std::max(0, context_.pool->free() + context_.pool->reserved() + leases_.free());
}

}  // namespace tokenpool::host
