// `tokenpool run`: a build under a pool of its own.
#pragma once

#include <string>
#include <vector>

namespace tokenpool::cli {

/// `words` are those after "run". Answers the status to exit with: front::run's, or 2 after one
/// line on stderr when the words make no sense.
int run(const std::vector<std::string>& words);

}  // namespace tokenpool::cli
