#include "watch/serve_watch.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

#include "control/limit_wait.h"
#include "core/limits.h"
#include "watch/limits.h"
#include "watch/stuck.h"

namespace tokenpool::watch {
namespace {

using core::Instant;

bool somebody_waits(const core::LeasePool& leases) {
  return leases.waiting_count() > 0 && !leases.leases().empty() && !leases.paused();
}

/// Those that hold leases and their descendants; nothing: not all are known.
std::optional<std::vector<proc::CensusRow>> holders(const BuildView& view, const CensusTree& tree) {
  std::set<pid_t> seen;
  std::vector<proc::CensusRow> found;
  for (const auto& [id, lease] : view.leases->leases()) {
    const std::vector<proc::CensusRow> family = tree.family_of(view.holder_of(lease));
    if (family.empty()) return std::nullopt;
    for (const proc::CensusRow& row : family) {
      if (seen.insert(row.who.pid).second) found.push_back(row);
    }
  }
  return found;
}

}  // namespace

ServeWatch::ServeWatch(std::chrono::nanoseconds patience, Instant now)
    : still_(patience), limits_(patience), due_(now) {}

std::optional<Instant> ServeWatch::due(const core::LeasePool& leases) const {
  return somebody_waits(leases) ? std::optional(due_) : std::nullopt;
}

Verdict ServeWatch::look(const BuildView& view) {
  due_ = view.now + still_.pause();
  Verdict verdict;
  if (!somebody_waits(*view.leases)) {
    (void)still_.look(control::Movement::some, view.now);
    movement_.forget();
    limits_.forget();
    rates_.forget();
    return verdict;
  }
  const proc::CensusSample census = rates_.look(view.walk());
  due_ = view.now + std::max(still_.pause(), kRescueCostShare * census.cost);
  const CensusTree tree(census.rows);
  verdict.stuck = limits_.look(view, census, tree);
  look_for_slots(view, census, tree, &verdict);
  return verdict;
}

void ServeWatch::look_for_slots(const BuildView& view, const proc::CensusSample& census,
                                const CensusTree& tree, Verdict* verdict) {
  const int lacking = control::slots_lacking(*view.leases, 0);
  const bool keep = lacking > 0 && view.leases->leased() > 0;
  const auto rows = keep ? holders(view, tree) : std::nullopt;
  if (!rows) movement_.forget();
  const auto movement = rows ? movement_.look(census, *rows) : control::Movement::some;
  if (!still_.look(movement, view.now)) return;
  const int more = std::min(lacking, core::kMaxSlots - extra_);
  if (more <= 0) return;
  name_stuck(view, *rows, verdict);
  extra_ += more;
  verdict->mint = more;
}

void ServeWatch::name_stuck(const BuildView& view, const std::vector<proc::CensusRow>& rows,
                            Verdict* verdict) {
  std::map<core::ProcessId, int> held;
  for (const auto& [id, lease] : view.leases->leases()) {
    if (lease.cost() == 0) continue;
    stuck_[id] = lease.cost();
    held[view.holder_of(lease)] += lease.cost();
  }
  for (const board::StuckRow& row : stuck_rows(CensusTree(rows), held, 0)) {
    if (named_.insert({row.pid, row.halted}).second) verdict->stuck.push_back(row);
  }
}

int ServeWatch::take_back(const core::LeasePool& leases) {
  int freed = 0;
  for (auto next = stuck_.begin(); next != stuck_.end();) {
    const core::Lease* lease = leases.find(next->first);
    const int cost = lease == nullptr ? 0 : lease->cost();
    freed += std::max(0, next->second - cost);
    next->second = std::min(next->second, cost);
    next = cost == 0 ? stuck_.erase(next) : std::next(next);
  }
  freed = std::min(freed, extra_);
  extra_ -= freed;
  if (extra_ == 0) {
    stuck_.clear();
    named_.clear();
  }
  return freed;
}

}  // namespace tokenpool::watch
