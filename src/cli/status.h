// `tokenpool status`: who holds the slots of an arbiter, and who waits.
#pragma once

#include <string>
#include <vector>

namespace tokenpool::cli {

/// `words` are those after "status". Prints on stdout and answers the status to exit with: 0, also
/// when the arbiter that --watch looks at has gone (one line on stderr); 1 no arbiter can be
/// reached, or stdout takes nothing more; 2 the words make no sense. With --watch a signal ends the
/// process: see screen.h.
int status(const std::vector<std::string>& words);

}  // namespace tokenpool::cli
