// Which command the first word names.
#pragma once

#include <string>
#include <vector>

namespace tokenpool::cli {

/// Runs what `words`, the command line without the program's name, ask for and answers the status
/// to exit with. No word at all: the help on stderr, 2. An unknown command: one line on stderr, 2.
int dispatch(const std::vector<std::string>& words);

}  // namespace tokenpool::cli
