// A mark that every process of a build carries and none sheds by accident: the soft limit of the
// time that a real-time thread may run without a pause (RLIMIT_RTTIME, getrlimit(2)). It passes to
// all descendants, whatever they do to their parents, session, environment and descriptors; it is
// no limit in practice (tens of thousands of years), and a process may change it at will.
#pragma once

#include <cstdint>

#include <sys/types.h>

namespace tokenpool::proc {

/// 0: there is none.
using BuildMark = std::uint64_t;

/// A number that no other build has, in microseconds. 0 where this process has such a limit
/// already, be it a real one or the mark of the build that this one runs in.
BuildMark new_build_mark();

/// Marks the calling process and all that it will start. No-op for 0. Async-signal-safe.
void carry_build_mark(BuildMark mark);

/// Whether `pid` carries `mark`, which is not 0. False as well when it may not be asked (it belongs
/// to another user).
bool has_build_mark(pid_t pid, BuildMark mark);

}  // namespace tokenpool::proc
