// The limits of what a shim reads, with the reason.
#pragma once

#include <cstddef>

namespace tokenpool::shim {

/// Bytes of a build tree's CMakeCache.txt that are read, by every `cmake --build`: an entry with
/// its comment has some 100 bytes, so this suffices for 40,000 of them.
inline constexpr std::size_t kMaxCmakeCache = 4U << 20;

}  // namespace tokenpool::shim
