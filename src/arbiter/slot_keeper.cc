#include "arbiter/slot_keeper.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "board/freezer.h"
#include "proc/process.h"

namespace tokenpool::arbiter {
namespace {

using core::Instant;
using core::ProcessId;

}  // namespace

board::Settings settings_of(const board::Begin& begin, const board::Settings& published) {
  return published.slots > 0 ? published : board::Settings{.slots = begin.issued + 1};
}

int tokens_of(const board::Settings& settings) {
  return settings.paused ? 0 : std::max(0, settings.slots - 1 - settings.withheld);
}

bool is_tracked(const board::Begin& begin) { return begin.tracked && !begin.bypass; }

SlotKeeper::SlotKeeper(SlotKeeperContext context, const board::Settings& settings, Instant now)
    : context_(std::move(context)), settings_(settings), tracked_(is_tracked(*context_.begin)) {
  const board::Begin& begin = *context_.begin;
  // Whoever was here before may have died over it.
  if (begin.resume) thaw_all(context_.config->board, true);
  // What outlives its build may stay for weeks. It is helped only where it lacks slots.
  if (begin.left) {
    if (begin.mark != 0 && tracked_) start_rescue(now);
    return;
  }
  if (begin.slots.is_elastic() && !settings_.fixed) {
    elastic_.emplace(begin.slots, settings_.slots, context_.config->group.folder(), now);
  }
  start_rescue(now);
  start_billing(now);
  if (begin.enforce && !begin.bypass) start_enforcement(now);
}

void SlotKeeper::start_rescue(Instant now) {
  rescue_.emplace(watch::StandstillWatchContext{
                      .pool = context_.pool,
                      .effects = context_.effects,
                      .apply = context_.apply,
                      .leases = context_.leases,
                      .out = [this] { return tokens_out(); },
                      .is_exhausted = [this] { return use().exhausted; },
                      .holder_of = context_.holder_of,
                      .is_client = context_.is_client,
                      .waits_to_read =
                          [this](core::ProcessId who) {
                            return proc::waits_to_read(who.pid, context_.config->fifo->id());
                          },
                      .root = context_.root,
                      .left_mark = context_.begin->left ? context_.begin->mark : 0,
                      .tracked = tracked_,
                      .patience = std::chrono::seconds(context_.begin->standstill),
                      .has_frozen = [this] { return frozen_jobs() > 0; },
                      .log = context_.log,
                      .tell = context_.tell},
                  now);
}

void SlotKeeper::start_billing(Instant now) {
  billing_.emplace(watch::BillingWatchContext{.pool = context_.pool,
                                              .leases = context_.leases,
                                              .holder_of = context_.holder_of,
                                              .out = [this] { return tokens_out(); },
                                              .group = context_.config->group.folder(),
                                              .front = context_.config->front,
                                              .tracked = tracked_,
                                              .program = proc::own_program(),
                                              .watch = context_.watch,
                                              .log = context_.log},
                   now);
}

void SlotKeeper::start_enforcement(Instant now) {
  watch::EnforcementWatchContext eyes{
      .pool = context_.pool,
      .leases = context_.leases,
      .process_of = context_.process_of,
      // What is stuck has another slot in its place.
      .in_use = [this] { return use().in_use - (tracked_ ? context_.pool->minted() : 0); },
      .allowed = [this] { return std::max(1, settings_.slots - settings_.withheld); },
      .uncooperative =
          [this] { return billing_ ? billing_->accused_processes() : std::vector<ProcessId>(); },
      .front = context_.config->front,
      .board = context_.config->board,
      .tell = context_.tell};
  enforcement_.emplace(std::move(eyes), now);
}

void SlotKeeper::set(int slots, Instant now) {
  elastic_.reset();
  settings_.fixed = true;
  settings_.slots = slots;
  adjust_issued(now);
}

void SlotKeeper::set_paused(bool paused, Instant now) {
  settings_.paused = paused;
  adjust_issued(now);
  context_.log->set_paused(paused);
  context_.tell();
}

void SlotKeeper::process_ended(ProcessId who, Instant now) {
  if (!billing_) return;
  billing_->process_ended(who, now);
  withhold(now);
}

void SlotKeeper::advance(Instant now) {
  if (elastic_ && !settings_.paused && elastic_->due() <= now) follow_the_machine(now);
  if (billing_ && billing_->due() <= now && billing_->step(now)) context_.tell();
  withhold(now);
  if (enforcement_ && enforcement_->due() <= now) enforcement_->step(now);
  if (rescue_ && rescue_->due() <= now) rescue_->step(now);
}

std::optional<Instant> SlotKeeper::next_deadline() const {
  std::optional<Instant> due;
  const auto at = [&due](Instant when) { due = due ? std::min(*due, when) : when; };
  if (elastic_ && !settings_.paused) at(elastic_->due());
  if (billing_) at(billing_->due());
  if (rescue_) at(rescue_->due());
  if (enforcement_) at(enforcement_->due());
  // What an arbiter that died withheld.
  if (!billing_ && settings_.withheld > 0) at(Instant{});
  return due;
}

void SlotKeeper::command_ended(Instant now) {
  if (billing_) billing_->close(now);
  billing_.reset();
  rescue_.reset();
  enforcement_.reset();
  withhold(now);
}

core::SlotRange SlotKeeper::range() const {
  return elastic_ ? context_.begin->slots : core::SlotRange{settings_.slots, settings_.slots};
}

// Where nobody's calls are seen, what is not in the FIFO and not lent is out.
int SlotKeeper::tokens_out() const {
  const core::Pool& pool = *context_.pool;
  if (tracked_) return pool.ledger().outstanding();
  return pool.issued() + context_.owed() - context_.level() - pool.lent();
}

watch::PoolUse SlotKeeper::use() const {
  const core::Pool& pool = *context_.pool;
  const core::LeasePool& leases = *context_.leases;
  watch::PoolUse use;
  const int free = tracked_ ? pool.free() + pool.reserved() : context_.level();
  use.in_use = 1 + std::max(0, tokens_out()) + leases.leased();
  use.exhausted = free == 0 && leases.free() <= 0;
  for (const core::LeaseRequest* request : leases.waiting()) {
    use.needed = std::max(use.needed, request->min + 1);  // the implicit slot is not theirs
  }
  return use;
}

void SlotKeeper::follow_the_machine(Instant now) {
  const int slots = elastic_->step(use(), now);
  if (slots == settings_.slots) return;
  settings_.slots = slots;
  adjust_issued(now);
}

// Those that ignore the pool are paid for by the rest of their build: at least the implicit slot
// stays to it.
void SlotKeeper::withhold(Instant now) {
  const int withheld = billing_ ? std::min(billing_->withheld(), settings_.slots - 1) : 0;
  if (withheld == settings_.withheld) return;
  settings_.withheld = withheld;
  adjust_issued(now);
}

void SlotKeeper::adjust_issued(Instant now) {
  context_.pool->set_issued(tokens_of(settings_), now, context_.effects);
  context_.apply();
}

std::vector<wire::UncooperativeRow> SlotKeeper::uncooperative(Instant now) const {
  return billing_ ? billing_->accused(now) : std::vector<wire::UncooperativeRow>();
}

}  // namespace tokenpool::arbiter
