// What a status tells of the build of a run: what it is, who holds its tokens, and what runs on
// them.
#pragma once

#include "board/begin.h"
#include "core/pool.h"
#include "proc/watchlist.h"
#include "wire/protocol_results.h"

namespace tokenpool::arbiter {

/// What is looked at; all outlive the call.
struct RunStatusSources {
  const core::Pool& pool;
  const proc::Watchlist& watched;
  const board::ArbiterConfig& config;
  const board::Begin& begin;
  bool tracked = false;  ///< the ledger knows who holds what
  bool over = false;     ///< the command has ended
  core::Instant now{};
};

/// Fills in `run`, `holders` and `jobs`. Reads some files of /proc for each row; of a run that is
/// over, those of all processes.
void describe_run(const RunStatusSources& sources, wire::StatusResult* status);

/// Keeps on the board what command it is, and where it was started.
void keep_command(const std::vector<std::string>& command, board::Board* board);

}  // namespace tokenpool::arbiter
