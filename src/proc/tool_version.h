// What a tool says of its version, asked once and kept in the user's cache: to ask takes longer
// than all the rest of a start.
#pragma once

#include <string>

#include "wire/error.h"

namespace tokenpool::proc {

/// As tool_version_output(), at most its first 1 KiB; kept in user_cache()/tokenpool/versions for
/// as long as `tool` is the same file (path, device, inode, size, times of change of its content
/// and of itself). Kept is only what an ELF program says: a script may call another one. A file
/// there that is damaged, somebody else's or not a file is as if it was not there; where nothing
/// can be kept the tool is asked. Thread-safe, and safe beside other processes.
wire::Result<std::string> known_version_output(const std::string& tool);

}  // namespace tokenpool::proc
