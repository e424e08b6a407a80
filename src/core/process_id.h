// Who holds a token: a process, named so that a later process with the same pid is somebody else.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace tokenpool::core {

/// A process. `start` is its start time in clock ticks since boot (field 22 of /proc/PID/stat,
/// proc(5)), which together with the pid is unique for as long as the machine runs.
struct ProcessId {
  std::int32_t pid = 0;
  std::uint64_t start = 0;
  friend auto operator<=>(const ProcessId&, const ProcessId&) = default;
};

struct ProcessIdHash {
  std::size_t operator()(const ProcessId& id) const noexcept {
    return std::hash<std::uint64_t>{}((static_cast<std::uint64_t>(id.pid) << 40) ^ id.start);
  }
};

/// How a process ended. `unknown`: the kernel could not say any more (before Linux 6.15 a zombie
/// that its parent reaped first).
enum class EndCause : std::uint8_t { succeeded, failed, killed, unknown };

}  // namespace tokenpool::core
