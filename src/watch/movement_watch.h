// Whether processes do anything, for the last resort (control/standstill.h).
#pragma once

#include <vector>

#include "control/standstill.h"
#include "core/process_id.h"
#include "proc/census.h"

namespace tokenpool::watch {

/// One thread.
class MovementWatch {
 public:
  /// What all of them together did since the look before; at the first one that is not known, and
  /// taken for something. Who has begun or ended counts: jobs that are short and just wait use next
  /// to no CPU, but they come and go.
  control::Movement look(const proc::CensusSample& census,
                         const std::vector<proc::CensusRow>& rows);
  /// The next look is a first one.
  void forget() { before_.clear(); }

 private:
  std::vector<core::ProcessId> before_;  ///< in order
};

}  // namespace tokenpool::watch
