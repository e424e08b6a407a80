// `tokenpool serve`: an arbiter that stands alone.
#pragma once

#include <string>
#include <vector>

namespace tokenpool::cli {

/// `words` are those after "serve". Answers the status to exit with: serve::serve's, or 2 after one
/// line on stderr when the words or the configuration make no sense.
int serve(const std::vector<std::string>& words);

}  // namespace tokenpool::cli
