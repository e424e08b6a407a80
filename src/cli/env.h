// `tokenpool env`: the variables of the pool that surrounds this process.
#pragma once

#include <string>
#include <vector>

namespace tokenpool::cli {

/// `words` are those after "env". Prints on stdout and answers the status to exit with: 0, 1 after
/// one line on stderr when no pool surrounds this process, 2 when the words make no sense.
int env(const std::vector<std::string>& words);

}  // namespace tokenpool::cli
