// `tokenpool doctor`: what this machine and its tools can do.
#pragma once

#include <string>
#include <vector>

namespace tokenpool::cli {

/// `words` are those after "doctor". Prints on stdout and answers the status to exit with: 0 when
/// tracking is exact and nothing needs attention, 1 when something does or stdout takes nothing
/// more, 2 after one line on stderr when the words make no sense. Starts each tool found on PATH
/// once, to ask for its version. Call it from a process without threads.
int doctor(const std::vector<std::string>& words);

}  // namespace tokenpool::cli
