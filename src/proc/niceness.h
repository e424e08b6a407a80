// How far a process stands behind others for the CPU (nice(2)).
#pragma once

namespace tokenpool::proc {

/// The highest niceness: runs on CPUs that nobody else wants.
inline constexpr int kMaxNiceness = 19;

/// Raises the niceness of this process, and of all that it will start, to `niceness` (up to
/// kMaxNiceness) unless it is as high already. Needs no privilege. Async-signal-safe.
void raise_niceness(int niceness);

}  // namespace tokenpool::proc
