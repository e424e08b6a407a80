// How much the laws keep track of, with the reason.
#pragma once

#include <cstddef>

namespace tokenpool::control {

/// Processes that are accused at one time of ignoring the pool; a report or a status has a line for
/// each. With so many the others need no name either.
inline constexpr std::size_t kMaxAccused = 64;

}  // namespace tokenpool::control
