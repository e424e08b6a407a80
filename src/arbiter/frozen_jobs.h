// The hands of `run --enforce`: stops jobs and lets them go on, and counts on the board who stood
// still for how long. Who is meant is decided by control/enforcement.h.
#pragma once

#include <vector>

#include "board/board.h"
#include "board/freezer.h"
#include "control/enforcement.h"

namespace tokenpool::arbiter {

/// One thread, the arbiter's, which is no part of the build. Neither copies nor moves.
class FrozenJobs {
 public:
  using Job = std::vector<core::ProcessId>;

  FrozenJobs(board::Board* board, core::Instant now);
  /// Everybody goes on.
  ~FrozenJobs();
  FrozenJobs(const FrozenJobs&) = delete;
  FrozenJobs& operator=(const FrozenJobs&) = delete;

  /// Answers the jobs that could not be stopped: all of their processes run on. Where nobody is to
  /// be frozen any more (Board::freezes_no_more) everybody goes on.
  std::vector<Job> carry_out(const control::EnforcementStep& step, core::Instant now);
  /// So many jobs stand still from `now` on.
  void count(int jobs, core::Instant now);

 private:
  board::Board* board_;
  board::Freezer freezer_;
  core::Instant counted_;  ///< so far the board knows how long
  int jobs_ = 0;           ///< ... who stood still
};

}  // namespace tokenpool::arbiter
