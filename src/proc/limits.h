// The limits of a census, with the reason.
#pragma once

#include <cstddef>

namespace tokenpool::proc {

/// Files of /proc that a census keeps open: of more processes it opens them again at each walk. It
/// looks at so many threads of one process and of all of them one by one, about 10 us each; of what
/// has more the rest counts as if it never had to wait.
inline constexpr std::size_t kMaxCensusFiles = 512;
inline constexpr int kMaxCensusThreads = 256;
inline constexpr int kMaxCensusThreadsOfWalk = 4096;

}  // namespace tokenpool::proc
