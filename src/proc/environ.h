// The environments of processes: the one that another was started with, and our own.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace tokenpool::proc {

/// The "NAME=value" strings of `pid` as its last exec left them (/proc/PID/environ, proc(5)); what
/// it changed since is not seen. Empty when it is gone, belongs to somebody else or is a kernel
/// thread.
std::vector<std::string> initial_environment(pid_t pid);

/// The "NAME=value" strings of this process as they are now.
std::vector<std::string> own_environment();

/// The value of `name` in this process; empty where it is not set. Until the environment changes.
std::string_view own_variable(const char* name);

}  // namespace tokenpool::proc
