#include "watch/standstill_watch.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>

#include "control/job_tree.h"
#include "control/limit_wait.h"
#include "core/limits.h"
#include "proc/process.h"
#include "proc/process_files.h"
#include "watch/limits.h"
#include "watch/stuck.h"

namespace tokenpool::watch {
namespace {

using core::Instant;

// Stopped at a prompt: Ctrl-Z.
bool is_under_job_control(pid_t pid) {
  const auto info = proc::read_process(pid);
  const auto parent = info ? proc::read_process(info->parent) : std::nullopt;
  return parent && control::is_shell(parent->name) && parent->group != info->group;
}

// Somebody lacks slots that others have.
bool lacks_slots(const BuildView& view) {
  const core::Pool& pool = *view.pool;
  if (view.leases->paused()) return false;
  const bool lease_waits = control::slots_lacking(*view.leases, 0) > 0;
  if (!view.exhausted) {
    // One that wants more than is left. What is kept for a client that asks blindly is free again
    // before long.
    const bool held = view.out > 0 || view.leases->leased() > 0;
    return lease_waits && held && pool.reserved() == 0;
  }
  // With one slot nobody is short of tokens, unless somebody asks. Who is frozen goes on with the
  // one that is made.
  return pool.issued() > 0 || view.frozen > 0 || lease_waits || !pool.waiting().empty();
}

void name_stuck(const BuildView& view, const proc::CensusSample& census, Verdict* verdict) {
  std::map<core::ProcessId, int> holders;
  for (const auto& [who, account] : view.pool->ledger().accounts()) {
    if (account.held() > 0) holders[who] += account.held();
  }
  for (const auto& [id, lease] : view.leases->leases()) {
    // The implicit slot is a slot, too.
    const bool is_root = lease.payer.kind == core::Payer::Kind::root;
    const int held = is_root ? lease.slots : lease.cost();
    if (held > 0) holders[view.holder_of(lease)] += held;
  }
  int unknown = view.tracked ? 0 : std::max(0, view.out);
  if (holders.empty()) unknown = std::max(1, unknown);
  std::vector<proc::CensusRow> rows = census.rows;
  // The arbiter knows who stopped those.
  if (view.frozen > 0) {
    std::erase_if(rows, [](const proc::CensusRow& row) { return row.state == 'T'; });
  }
  verdict->stuck = stuck_rows(CensusTree(rows), holders, unknown);
}

}  // namespace

StandstillWatch::StandstillWatch(const StandstillConfig& config, Instant now)
    : config_(config),
      still_(config.patience),
      idle_(config.patience),
      limits_(config.patience),
      due_(now + still_.pause()),
      stroll_(now + config.patience) {}

bool StandstillWatch::is_stopped(const proc::CensusSample& census) const {
  return census.rows.empty() || (!config_.left && census.rows.front().state == 'T');
}

// A read of what lies there would not wait, so nothing lies there.
bool StandstillWatch::is_asked_unseen(const BuildView& view,
                                      const proc::CensusSample& census) const {
  if (view.tracked || view.pool->issued() > 0 || view.leases->paused()) return false;
  return view.exhausted && std::ranges::any_of(census.rows, [this](const proc::CensusRow& row) {
           return row.state == 'S' && proc::waits_to_read(row.who.pid, config_.fifo);
         });
}

Verdict StandstillWatch::look(const BuildView& view) {
  const Instant now = view.now;
  Verdict verdict;
  // Where no process can be seen, everybody would look dead or idle.
  if (!proc::ProcessFiles::are_readable()) {
    due_ = now + kBlindPause;
    return verdict;
  }
  const bool strolls = !config_.left && stroll_ <= now;
  const bool looks = lacks_slots(view) || LimitWatch::has_to_look(view) || strolls;
  due_ = now + still_.pause();
  if (!looks) {
    (void)still_.look(control::Movement::some, now);
    limits_.forget();
    return verdict;
  }
  const proc::CensusSample census = rates_.look(view.walk());
  const Instant cost_pause = kRescueCostShare * census.cost;
  due_ = now + std::max<Instant>(still_.pause(), cost_pause);
  const control::Movement movement = movement_of(census);
  const bool lacks =
      lacks_slots(view) || (movement == control::Movement::none && is_asked_unseen(view, census));
  look_for_slots(view, census, lacks, movement, &verdict);
  look_at_limits(view, census, &verdict);
  look_for_halted(view, census, lacks, movement, &verdict);
  // Who moves is left alone for a while.
  stroll_ = movement == control::Movement::some
                ? now + std::max<Instant>(config_.patience, cost_pause)
                : now;
  return verdict;
}

void StandstillWatch::look_for_slots(const BuildView& view, const proc::CensusSample& census,
                                     bool lacks, control::Movement movement, Verdict* verdict) {
  if (!still_.look(lacks ? movement : control::Movement::some, view.now)) return;
  name_stuck(view, census, verdict);
  verdict->known = view.tracked && (view.pool->issued() > 0 || view.frozen > 0);
  // Without a tracker nobody knows how many are free.
  const int free = view.tracked ? view.pool->free() : core::kMaxSlots;
  verdict->mint = std::min(std::max(1, control::slots_lacking(*view.leases, free)),
                           core::kMaxSlots - view.pool->minted());
}

void StandstillWatch::look_for_halted(const BuildView& view, const proc::CensusSample& census,
                                      bool lacks, control::Movement movement, Verdict* verdict) {
  const bool on_purpose = lacks || view.frozen > 0 || view.leases->paused();
  if (!idle_.look(on_purpose ? control::Movement::some : movement, view.now)) return;
  std::vector<board::StuckRow> rows = stuck_rows(CensusTree(census.rows), {}, 0);
  std::erase_if(rows, [this](const board::StuckRow& row) {
    return limits_.names_soon(row.halted) || is_under_job_control(row.halted);
  });
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i].too = i > 0;
    verdict->stuck.push_back(rows[i]);
  }
}

void StandstillWatch::look_at_limits(const BuildView& view, const proc::CensusSample& census,
                                     Verdict* verdict) {
  // Who is made to stand still, or is stopped with the whole build, goes on some time.
  if (is_stopped(census) || view.frozen > 0) return limits_.forget();
  const auto rows = limits_.look(view, census, CensusTree(census.rows));
  verdict->stuck.insert(verdict->stuck.end(), rows.begin(), rows.end());
}

control::Movement StandstillWatch::movement_of(const proc::CensusSample& census) {
  const control::Movement movement = movement_.look(census, census.rows);
  return is_stopped(census) ? control::Movement::some : movement;
}

}  // namespace tokenpool::watch
