// What happened in the FIFO between two looks at it, where nobody saw it happen: the level tells
// the difference, a watch that somebody took and somebody returned. A token that one returned and
// another took at once leaves the level as it was. Pure.
#pragma once

#include <vector>

#include "core/process_id.h"

namespace tokenpool::core {

/// Tokens that went the same way.
struct UnseenMove {
  int count = 0;
  std::vector<ProcessId> who;  ///< one of them took, or returned, all of them; any order
  bool certain = true;         ///< it was one of them, and not somebody who has closed the FIFO
};

struct MoveCounts {
  int taken = 0;
  int returned = 0;
  friend bool operator==(const MoveCounts&, const MoveCounts&) = default;
};

/// How many were taken and returned: `returned - taken` is `drift`, the bytes that came in
/// addition. `takes` and `returns` are what a watch reported, which tells of several moves of one
/// process as one, and sometimes after the look that found them. So where all of it does not fit,
/// the smallest numbers that fit are answered of which one is as reported; where there is a
/// difference and nothing of its kind was reported, the difference.
[[nodiscard]] MoveCounts count_moves(int takes, int returns, int drift);

}  // namespace tokenpool::core
