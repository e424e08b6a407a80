// The CPU time that a control group, with the groups below it, has used: cpu.stat of version 2
// (Linux 4.15; needs no controller) or cpuacct.usage of version 1. The kernel counts those that
// have ended, too, whoever their parent was.
#pragma once

#include <optional>
#include <string>

#include "proc/kept_file.h"

namespace tokenpool::proc {

/// Owns a descriptor. Moves, does not copy.
class GroupUsage {
 public:
  /// `folder` of the group; empty, or one without such a file: nothing is ever known.
  explicit GroupUsage(const std::string& folder);
  /// Seconds since the group was made. None: it cannot be told.
  std::optional<double> seconds();

 private:
  KeptFile file_;
  bool in_nanoseconds_ = false;  ///< version 1
};

}  // namespace tokenpool::proc
