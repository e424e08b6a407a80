#include "watch/serve_watch.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

#include "control/limit_wait.h"
#include "core/limits.h"
#include "watch/stuck.h"

namespace tokenpool::watch {
namespace {

using core::Instant;

// Parent of all that lives in this pid namespace.
constexpr pid_t kFirst = 1;

}  // namespace

ServeWatch::ServeWatch(ServeWatchContext context, Instant now)
    : context_(std::move(context)),
      census_(kFirst),
      still_(context_.patience),
      limits_({.leases = context_.leases,
               .holder_of = context_.holder_of,
               .may_wait = [](const auto&) { return false; },
               .patience = context_.patience}),
      due_(now) {}

bool ServeWatch::somebody_waits() const {
  const core::LeasePool& leases = *context_.leases;
  return leases.waiting_count() > 0 && !leases.leases().empty() && !leases.paused();
}

std::optional<Instant> ServeWatch::due() const {
  return somebody_waits() ? std::optional(due_) : std::nullopt;
}

std::optional<std::vector<proc::CensusRow>> ServeWatch::holders(const CensusTree& tree) const {
  std::set<pid_t> seen;
  std::vector<proc::CensusRow> found;
  for (const auto& [id, lease] : context_.leases->leases()) {
    const std::vector<proc::CensusRow> family = tree.family_of(context_.holder_of(lease));
    if (family.empty()) return std::nullopt;
    for (const proc::CensusRow& row : family) {
      if (seen.insert(row.who.pid).second) found.push_back(row);
    }
  }
  return found;
}

int ServeWatch::step(Instant now) {
  due_ = now + still_.pause();
  if (!somebody_waits()) {
    (void)still_.look(control::Movement::some, now);
    movement_.forget();
    limits_.forget();
    census_.forget();
    return 0;
  }
  const proc::CensusSample census = census_.sample(now);
  due_ = now + std::max(still_.pause(), kRescueCostShare * census.cost);
  const CensusTree tree(census.rows);
  for (const board::StuckRow& row : limits_.look(census, tree, now)) {
    context_.say(stuck_line(row, StuckPlace::serve));
  }
  return look_for_slots(census, tree, now);
}

int ServeWatch::look_for_slots(const proc::CensusSample& census, const CensusTree& tree,
                               Instant now) {
  const int lacking = control::slots_lacking(*context_.leases, 0);
  const bool keep = lacking > 0 && context_.leases->leased() > 0;
  const auto rows = keep ? holders(tree) : std::nullopt;
  if (!rows) movement_.forget();
  if (!still_.look(rows ? movement_.look(census, *rows) : control::Movement::some, now)) return 0;
  const int more = std::min(lacking, core::kMaxSlots - extra_);
  if (more <= 0) return 0;
  name_stuck(*rows);
  extra_ += more;
  return more;
}

void ServeWatch::name_stuck(const std::vector<proc::CensusRow>& rows) {
  std::map<core::ProcessId, int> held;
  for (const auto& [id, lease] : context_.leases->leases()) {
    if (lease.cost() == 0) continue;
    stuck_[id] = lease.cost();
    held[context_.holder_of(lease)] += lease.cost();
  }
  for (const board::StuckRow& row : stuck_rows(CensusTree(rows), held, 0)) {
    if (!named_.insert({row.pid, row.halted}).second) continue;
    context_.say(stuck_line(row, StuckPlace::serve));
  }
}

int ServeWatch::take_back() {
  int freed = 0;
  for (auto next = stuck_.begin(); next != stuck_.end();) {
    const core::Lease* lease = context_.leases->find(next->first);
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
