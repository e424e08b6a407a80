// The numbers that processes have where others see them: a process in a pid namespace has one
// number in it and another one in each namespace above (pid_namespaces(7)).
//
// Source: the line NSpid of /proc/PID/status, proc(5), which begins with the number in the
// namespace of the reader. Thread-safe: no shared state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include <sys/types.h>

namespace tokenpool::proc {

/// From our numbers to those of a process in a namespace below ours.
class PidView {
 public:
  /// `viewer`: one of our numbers. One that is gone, may not be looked at or lives in our namespace
  /// sees the numbers that we see.
  explicit PidView(pid_t viewer);
  /// The number of our process `pid`. 0: the viewer cannot see it, or it is gone.
  [[nodiscard]] pid_t of(pid_t pid) const;

 private:
  std::size_t depth_ = 0;        ///< namespaces between the viewer's and ours
  std::uint64_t namespace_ = 0;  ///< the viewer's
};

/// The other way: from the numbers in the namespace of our process `member` to ours. Empty when
/// that namespace is our own, or cannot be looked into. Reads all processes: about 20 us each.
std::unordered_map<pid_t, pid_t> own_pids_of(pid_t member);

/// Milliseconds since a process was started, of `start` in clock ticks since the boot as
/// core::ProcessId has it; never negative.
std::int64_t age_ms(std::uint64_t start);

}  // namespace tokenpool::proc
