// Who keeps what others wait for and does not move: found among the processes of a walk, and told
// in a line. For both last resorts.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "board/board.h"
#include "core/process_id.h"
#include "watch/census_tree.h"

namespace tokenpool::watch {

/// Where the line is said.
enum class StuckPlace : std::uint8_t { run, serve };

/// A row for each that holds slots (`held`), or for each process that is halted at or below it (see
/// CensusTree); further ones have 0 `held` and are there `too`. So it is for `unknown` slots of
/// which nobody knows who has them, and those halted below no holder. Reads command lines.
std::vector<board::StuckRow> stuck_rows(const CensusTree& tree,
                                        const std::map<core::ProcessId, int>& held, int unknown);

/// Tells of it on one line, with what can be done.
std::string stuck_line(const board::StuckRow& row, StuckPlace place);

}  // namespace tokenpool::watch
