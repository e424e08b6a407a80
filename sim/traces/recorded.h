// The table of recorded builds: what decides how many jobs run, side by side.
#pragma once

#include <string>
#include <vector>

namespace tokenpool::traces {

/// Replays each file on 2, 16 and 256 CPUs and prints the table. False, and a line for each, where
/// the governor is not as good as it has to be or a file cannot be read.
bool compare_recorded(const std::vector<std::string>& files);

}  // namespace tokenpool::traces
