#include <algorithm>
#include <cmath>

#include "proc/census.h"

namespace tokenpool::proc {

double CensusRow::wanted() const {
  // As many threads as it takes to have run and waited for so long, all alike. The clocks of the
  // two do not agree to the last tick.
  constexpr double kInexact = 0.25;
  const double running =
      std::clamp(std::ceil(use + delay - kInexact), 1.0, std::max(threads, 1) * 1.0);
  const double free = 1 - delay / running;  // of the time, for each
  return free > 0 ? std::min({use + delay, running, use / free}) : use + delay;
}

void CensusRates::forget() {
  before_.reset();
  past_.clear();
}

// Their parents, or whoever waited for those, have reaped what was counted for them while they
// lived.
std::unordered_map<pid_t, double> CensusRates::counted_of_the_dead(const Living& living) const {
  std::unordered_map<pid_t, double> counted;
  const auto lives = [&](pid_t pid, const CensusRow& row) {
    const auto found = living.find(pid);
    return found != living.end() && found->second->who == row.who;
  };
  for (const auto& [pid, dead] : past_) {
    if (lives(pid, dead)) continue;
    pid_t heir = dead.parent;
    auto at = past_.find(heir);
    // Files that were read one after the other may tell of a circle.
    for (std::size_t steps = 0; steps < past_.size() && at != past_.end(); ++steps) {
      if (lives(heir, at->second)) break;
      heir = at->second.parent;
      at = past_.find(heir);
    }
    counted[heir] += dead.use_seconds + dead.reaped_seconds;
  }
  return counted;
}

CensusSample CensusRates::look(CensusSample walk) {
  walk.interval = before_ ? walk.at - *before_ : std::chrono::nanoseconds{};
  before_ = walk.at;
  const double seconds = std::chrono::duration<double>(walk.interval).count();
  Living living;
  for (const CensusRow& row : walk.rows) living[row.who.pid] = &row;
  if (seconds > 0) {
    const auto counted = counted_of_the_dead(living);
    for (CensusRow& row : walk.rows) {
      const auto past = past_.find(row.who.pid);
      const bool is_known = past != past_.end() && past->second.who == row.who;
      const CensusRow before = is_known ? past->second : CensusRow{.delay_seconds = 0};
      const auto dead = counted.find(row.who.pid);
      const double already = dead == counted.end() ? 0 : dead->second;
      row.use = std::max(0.0, row.use_seconds - before.use_seconds) / seconds;
      row.reaped = std::max(0.0, row.reaped_seconds - before.reaped_seconds - already) / seconds;
      // Of one that has slept until now nobody knows since when it waits.
      if (!row.delay_seconds || !before.delay_seconds) continue;
      row.delay = std::clamp((*row.delay_seconds - *before.delay_seconds) / seconds, 0.0,
                             std::max(row.threads, 1) * 1.0);
    }
  }
  past_.clear();
  for (const CensusRow& row : walk.rows) past_.emplace(row.who.pid, row);
  return walk;
}

}  // namespace tokenpool::proc
