// Names of processes for the tests of core.
#pragma once

#include <ostream>
#include <vector>

#include "core/process_id.h"

namespace tokenpool::core {

inline ProcessId process(int pid) { return {pid, static_cast<std::uint64_t>(1000 + pid)}; }

inline std::ostream& operator<<(std::ostream& out, const ProcessId& who) { return out << who.pid; }

using Processes = std::vector<ProcessId>;

}  // namespace tokenpool::core
