// A job of the build that ignores the pool, on simulated machines: the billing, alone and together
// with the governor.
#pragma once

namespace tokenpool::traces {

/// Prints a table. False: somebody was named too late or wrongly, or the CPUs were not used as they
/// have to be; what exactly is printed, too.
bool check_uncooperative();

}  // namespace tokenpool::traces
