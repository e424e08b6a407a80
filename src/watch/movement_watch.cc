#include "watch/movement_watch.h"

#include <algorithm>
#include <utility>

namespace tokenpool::watch {

using control::Movement;

Movement MovementWatch::look(const proc::CensusSample& census,
                             const std::vector<proc::CensusRow>& rows) {
  std::vector<core::ProcessId> now;
  now.reserve(rows.size());
  double demand = 0;
  bool runs = false;
  bool disk = false;
  for (const proc::CensusRow& row : rows) {
    now.push_back(row.who);
    demand += row.demand();
    runs = runs || row.state == 'R';
    disk = disk || row.state == 'D';
  }
  std::sort(now.begin(), now.end());
  const bool same = now == before_;
  before_ = std::move(now);
  if (!same || census.interval.count() == 0 || runs || demand >= control::kStillUse) {
    return Movement::some;
  }
  return disk ? Movement::disk : Movement::none;
}

}  // namespace tokenpool::watch
