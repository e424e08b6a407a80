#include "arbiter/slot_keeper.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <string>
#include <utility>

#include <unistd.h>

#include "arbiter/carrier.h"
#include "board/freezer.h"
#include "proc/process.h"

namespace tokenpool::arbiter {

using core::Instant;
using core::ProcessId;

board::Settings settings_of(const board::Begin& begin, const board::Settings& published) {
  return published.slots > 0 ? published : board::Settings{.slots = begin.issued + 1};
}

int tokens_of(const board::Settings& settings) {
  return settings.paused ? 0 : std::max(0, settings.slots - 1 - settings.withheld);
}

bool is_tracked(const board::Begin& begin) { return begin.tracked && !begin.bypass; }

SlotKeeper::SlotKeeper(const RunParts& parts, const core::LeasePool* leases,
                       const session::Dispatcher* sessions, const board::Settings& settings,
                       Instant now)
    : parts_(parts),
      leases_(*leases),
      sessions_(*sessions),
      settings_(settings),
      tracked_(is_tracked(*parts.begin)),
      walks_(::getpid(), parts.begin->left ? parts.begin->mark : 0),
      accused_(parts.log) {
  const board::Begin& begin = *parts_.begin;
  // Whoever was here before may have died over it.
  if (begin.resume) thaw_all(parts_.config->board, true);
  // What outlives its build may stay for weeks. It is helped only where it lacks slots.
  if (begin.left) {
    if (begin.mark != 0 && tracked_) start_rescue(now);
    return;
  }
  const std::string group = parts_.config->group.folder();
  if (begin.slots.is_elastic() && !settings_.fixed) {
    elastic_.emplace(begin.slots, settings_.slots, group, now);
  }
  start_rescue(now);
  billing_.emplace(group, proc::own_program(), now);
  parts_.log->begin_at(now);
  if (begin.enforce && !begin.bypass) {
    enforcement_.emplace(now);
    frozen_.emplace(parts_.config->board, now);
  }
}

void SlotKeeper::start_rescue(Instant now) {
  const board::Begin& begin = *parts_.begin;
  const proc::FileId fifo = parts_.config->fifo->id();
  if (!tracked_) lost_.emplace(fifo, std::array{begin.read_end, begin.write_end}, now);
  if (begin.standstill == 0) return;
  rescue_.emplace(
      watch::StandstillConfig{
          .patience = std::chrono::seconds(begin.standstill), .left = begin.left, .fifo = fifo},
      now);
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
  parts_.log->set_paused(paused);
  parts_.front->tell_news();
}

void SlotKeeper::process_ended(ProcessId who, Instant now) {
  if (!billing_) return;
  if (billing_->process_ended(who)) follow_accused(now);
  withhold(now);
}

void SlotKeeper::advance(Instant now) {
  const auto is_due = [now](const auto& watcher) { return watcher && watcher->due() <= now; };
  if (is_due(elastic_) || is_due(billing_) || is_due(enforcement_) || is_due(lost_) ||
      is_due(rescue_)) {
    watch::BuildView view = this->view(now);
    if (is_due(elastic_) && !settings_.paused) follow_the_machine(&view);
    if (is_due(billing_)) bill(&view);
    if (is_due(enforcement_)) enforce(&view);
    if (is_due(lost_)) carry_out(lost_->look(view), &view);
    if (is_due(rescue_)) carry_out(rescue_->look(view), &view);
  }
  withhold(now);
}

watch::BuildView SlotKeeper::view(Instant now) {
  watch::BuildView view = watch::view_of(
      leases_, now, [this](core::SessionId session) { return sessions_.process_of(session); });
  view.root = parts_.kin->root();
  view.pool = parts_.pool;
  view.tracked = tracked_;
  view.may_freeze = !parts_.config->board->freezes_no_more;
  view.accused = accused_.processes();
  walks_.begin(view.root, now);
  view.walks = &walks_;
  fill_in_figures(&view);
  return view;
}

void SlotKeeper::fill_in_figures(watch::BuildView* view) const {
  const core::Pool& pool = *parts_.pool;
  const int free = tracked_ ? pool.free() + pool.reserved() : parts_.config->fifo->level();
  view->out = tokens_out();
  view->in_use = 1 + std::max(0, view->out) + leases_.leased();
  view->exhausted = free == 0 && leases_.free() <= 0;
  view->allowed = std::max(1, settings_.slots - settings_.withheld);
  view->frozen = frozen_jobs();
  for (const core::LeaseRequest* request : leases_.waiting()) {
    view->needed = std::max(view->needed, request->min + 1);  // the implicit slot is not theirs
  }
}

std::optional<Instant> SlotKeeper::next_deadline() const {
  std::optional<Instant> due;
  const auto at = [&due](Instant when) { due = due ? std::min(*due, when) : when; };
  if (elastic_ && !settings_.paused) at(elastic_->due());
  if (billing_) at(billing_->due());
  if (lost_) at(lost_->due());
  if (rescue_) at(rescue_->due());
  if (enforcement_) at(enforcement_->due());
  // What an arbiter that died withheld.
  if (!billing_ && settings_.withheld > 0) at(Instant{});
  return due;
}

void SlotKeeper::command_ended(Instant now) {
  billing_.reset();
  follow_accused(now);
  lost_.reset();
  rescue_.reset();
  enforcement_.reset();
  frozen_.reset();
  withhold(now);
}

core::SlotRange SlotKeeper::range() const {
  return elastic_ ? parts_.begin->slots : core::SlotRange{settings_.slots, settings_.slots};
}

// Where nobody's calls are seen, what is not in the FIFO and not lent is out.
int SlotKeeper::tokens_out() const {
  const core::Pool& pool = *parts_.pool;
  if (tracked_) return pool.ledger().outstanding();
  return pool.issued() + parts_.carrier->owed() - parts_.config->fifo->level() - pool.lent();
}

void SlotKeeper::follow_the_machine(watch::BuildView* view) {
  const int slots = elastic_->step(*view);
  if (slots == settings_.slots) return;
  settings_.slots = slots;
  adjust_issued(view->now);
  fill_in_figures(view);
}

void SlotKeeper::bill(watch::BuildView* view) {
  billing_->look(*view);
  follow_accused(view->now);
  withhold(view->now);
  view->accused = accused_.processes();
  fill_in_figures(view);
}

void SlotKeeper::follow_accused(Instant now) {
  const auto anew =
      accused_.follow(billing_ ? billing_->accused() : std::vector<control::Accusation>(), now);
  // Its slots are back with its end.
  for (const ProcessId who : anew) (void)parts_.watched->add(who);
  if (!anew.empty()) parts_.front->tell_news();
}

void SlotKeeper::enforce(watch::BuildView* view) {
  const Instant now = view->now;
  for (const auto& job : frozen_->carry_out(enforcement_->look(*view), now)) {
    enforcement_->could_not(job, now);
  }
  frozen_->count(enforcement_->frozen(), now);
  view->frozen = enforcement_->frozen();
  if (view->frozen > 0 && !std::exchange(told_frozen_, true)) parts_.front->tell_news();
}

void SlotKeeper::carry_out(const watch::Verdict& verdict, watch::BuildView* view) {
  const Instant now = view->now;
  for (const board::StuckRow& row : verdict.stuck) parts_.log->add_stuck(row);
  if (!verdict.stuck.empty()) parts_.front->tell_news();
  if (verdict.mint == 0 && verdict.unmint == 0) return;
  if (verdict.unmint > 0) parts_.pool->unmint(verdict.unmint, now, parts_.effects);
  if (verdict.mint > 0) parts_.pool->mint(verdict.mint, verdict.known, now, parts_.effects);
  parts_.carrier->carry_out(now);
  fill_in_figures(view);
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
  parts_.pool->set_issued(tokens_of(settings_), now, parts_.effects);
  parts_.carrier->carry_out(now);
}

}  // namespace tokenpool::arbiter
