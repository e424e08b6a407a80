// The limits of a message, each with its reason; tokenpool-protocol(7) names those that matter to
// clients.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tokenpool::wire {

/// Bytes of one line with its newline: a request has some 200, a status with all its rows 40,000.
inline constexpr std::size_t kMaxLine = 65536;
/// Of JSON in a line; nothing that the protocol knows is deeper than 5.
inline constexpr int kMaxDepth = 16;

inline constexpr std::size_t kMaxIdBytes = 64;
inline constexpr std::size_t kMaxNameBytes = 64;
inline constexpr std::size_t kMaxTypeBytes = 32;
inline constexpr std::size_t kMaxTargetBytes = 256;
inline constexpr int kMaxPriority = 100;
inline constexpr std::int64_t kMaxTimeoutMs = 86'400'000;
/// Leases that one `hello` declares; their line has to fit into kMaxLine.
inline constexpr std::size_t kMaxResumed = 512;

}  // namespace tokenpool::wire
