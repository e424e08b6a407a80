// The environment that another process was started with.
#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

namespace tokenpool::proc {

/// The "NAME=value" strings of `pid` as its last exec left them (/proc/PID/environ, proc(5)); what
/// it changed since is not seen. Empty when it is gone, belongs to somebody else or is a kernel
/// thread.
std::vector<std::string> initial_environment(pid_t pid);

/// The "NAME=value" strings of this process as they are now.
std::vector<std::string> own_environment();

}  // namespace tokenpool::proc
