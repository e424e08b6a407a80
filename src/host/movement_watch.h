// Whether processes do anything, for the last resort (core/standstill.h).
#pragma once

#include <vector>

#include "core/process_id.h"
#include "core/standstill.h"
#include "proc/census.h"

namespace tokenpool::host {

/// The walks that the last resort makes take this share of a CPU at most.
inline constexpr int kRescueCostShare = 200;

/// One thread.
class MovementWatch {
 public:
  /// What all of them together did since the look before; at the first one that is not known, and
  /// taken for something. Who has begun or ended counts: jobs that are short and just wait use next
  /// to no CPU, but they come and go.
  core::Movement look(const proc::CensusSample& census, const std::vector<proc::CensusRow>& rows);
  /// The next look is a first one.
  void forget() { before_.clear(); }

 private:
  std::vector<core::ProcessId> before_;  ///< in order
};

}  // namespace tokenpool::host
