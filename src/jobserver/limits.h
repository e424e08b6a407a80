// The limits of what is looked at in other runs' folders, each with its reason.
#pragma once

#include <chrono>
#include <cstddef>

namespace tokenpool::jobserver {

/// Names of TMPDIR that a run reads in search of what dead runs left there (about 20 ms, while the
/// build is under way), and folders of runs that it looks into: more than a user has builds at one
/// time, about 20 us each. What is left over waits for a later run.
inline constexpr std::size_t kMaxSweptEntries = 65536;
inline constexpr std::size_t kMaxSweptRuns = 256;

/// Files that the shims may have left in the folder of a run, a handful for each tool on PATH. A
/// folder with more is not as we make them, and stays.
inline constexpr std::size_t kMaxToolFiles = 1024;

/// A run makes its FIFO within milliseconds of its folder. Whoever has not after this time is dead;
/// one that was stopped so long finds its folder gone and says so.
inline constexpr std::chrono::hours kMaxSetup{24};

}  // namespace tokenpool::jobserver
