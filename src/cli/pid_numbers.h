// The pids of a status as this process sees them.
#pragma once

#include <string>

namespace tokenpool::cli {

/// The result of a `status` that came over the Unix socket `socket`. Where its arbiter lives in a
/// pid namespace below ours (a container), its numbers become ours; a process that has none is 0.
/// Unchanged where both live in the same one, where the arbiter sees us (it has told our numbers
/// then), and over TCP.
std::string in_own_numbers(std::string result, int socket);

}  // namespace tokenpool::cli
