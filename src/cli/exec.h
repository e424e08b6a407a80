// `tokenpool exec`.
#pragma once

#include <string>
#include <vector>

namespace tokenpool::cli {

/// Runs one command on a lease; `words` follow "exec". Answers the status to exit with.
int exec(const std::vector<std::string>& words);

}  // namespace tokenpool::cli
