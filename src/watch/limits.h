// What watching may cost.
#pragma once

#include <chrono>

namespace tokenpool::watch {

/// The walks that a last resort makes take this share of a CPU at most.
inline constexpr int kRescueCostShare = 200;

/// Between two attempts to see the processes where /proc does not show them.
inline constexpr std::chrono::nanoseconds kBlindPause = std::chrono::seconds(5);

}  // namespace tokenpool::watch
