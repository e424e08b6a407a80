// The report of a run: one JSON object, described in tokenpool-report(5).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "board/board.h"
#include "core/slot_range.h"
#include "wire/error.h"

namespace tokenpool::front {

struct RunOutcome {
  std::vector<std::string> command;
  std::string tracking;  ///< "exact", "infer" or "none"
  core::SlotRange slots;
  int exit_code = 0;  ///< what `tokenpool run` exits with
  int signal = 0;     ///< that killed the command; 0: none
  double wall_seconds = 0;
  double cpu_seconds = 0;  ///< user and system, of all processes of the build that were waited for
  std::int64_t peak_process_bytes = 0;  ///< resident memory of the largest process
  int left_running = 0;                 ///< processes that outlive the command
};

std::string render_report(const RunOutcome& outcome, const board::Board& board);

/// Writes the report as proc::write_file() does. Error 125 when that fails; nothing is left then.
wire::Result<void> write_report(const std::string& path, const std::string& text);

/// Whether write_report(path) can be expected to work; asked before the build is started.
wire::Result<void> check_report_path(const std::string& path);

/// The closing line: what was recovered, refused or minted, and what is still held. Nothing when
/// there is nothing to say.
std::optional<std::string> closing_line(const board::Board& board);

}  // namespace tokenpool::front
