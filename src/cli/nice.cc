#include "cli/nice.h"

#include "cli/command_line.h"
#include "proc/niceness.h"

namespace tokenpool::cli {

wire::Result<int> parse_nice(const std::string& word) {
  const auto niceness = number_of(word);
  if (niceness && *niceness >= 0 && *niceness <= proc::kMaxNiceness) {
    return static_cast<int>(*niceness);
  }
  return usage("--nice " + word + ": no niceness, give 0 to " + std::to_string(proc::kMaxNiceness) +
               ", higher yields to others");
}

}  // namespace tokenpool::cli
