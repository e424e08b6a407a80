// Who is accused of ignoring the pool, as the board has it for the report, and a status for whoever
// asks.
#pragma once

#include <string>
#include <vector>

#include "board/board_log.h"
#include "control/billing.h"
#include "wire/protocol_results.h"

namespace tokenpool::arbiter {

/// One thread, the arbiter's.
class AccusedRows {
 public:
  explicit AccusedRows(board::BoardLog* log) : log_(log) {}

  /// Those are accused by now. Answers who of them is so anew.
  std::vector<core::ProcessId> follow(const std::vector<control::Accusation>& accused,
                                      core::Instant now);
  [[nodiscard]] std::vector<core::ProcessId> processes() const;
  [[nodiscard]] std::vector<wire::UncooperativeRow> status(core::Instant now) const;

 private:
  struct Named {
    control::Accusation accusation;
    std::string command;
    std::size_t row = 0;  ///< on the board
  };

  board::BoardLog* log_;
  std::vector<Named> named_;
};

}  // namespace tokenpool::arbiter
