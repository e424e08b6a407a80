// `tokenpool run`: one build under one pool. Two processes, each of which survives the other: the
// front (what the user started) owns command, terminal and signals; the arbiter owns pool and
// tracker.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/slot_range.h"
#include "dialect/wrapped_tool.h"
#include "wire/address.h"

namespace tokenpool::front {

enum class Track : std::uint8_t { automatic, exact, infer };

struct RunConfig {
  std::vector<std::string> command;  ///< not empty; [0] is looked up on PATH
  core::SlotRange slots;             ///< one is the implicit slot
  Track track = Track::automatic;
  bool shims = true;
  std::optional<dialect::WrapNames> wrap;  ///< which compilers and linkers have shims; empty: none
  std::optional<std::string> report_path;  ///< where the JSON report goes
  bool quiet = false;                      ///< no closing line
  std::chrono::seconds standstill{5};  ///< until the last resort, control/standstill.h; 0: never
  /// So many jobs of each type at one time; of at most core::kMaxLimits types.
  std::map<std::string, int> limits;
  bool enforce = false;  ///< too few slots for those that run: freeze some, control/enforcement.h
  bool die_with_parent = false;  ///< the build ends when the caller's parent does
  bool end_leftovers = false;    ///< nothing is left running when the command has ended
  int nice = 0;                  ///< the build's niceness is at least this, 0 to 19
  /// TCP addresses that the arbiter listens on besides its Unix socket.
  std::vector<wire::Address> listen;
};

/// Runs the build to its end. Answers the status to exit with: the command's own, 128+signal,
/// 126/127 when it cannot be executed, 125 when Tokenpool itself failed (said on stderr in one
/// line). Leaves nothing behind, whatever happens. Call it once, from a process without threads.
int run(const RunConfig& config);

}  // namespace tokenpool::front
