#include "arbiter/frozen_jobs.h"

#include <algorithm>

#include "proc/clock.h"

namespace tokenpool::arbiter {

FrozenJobs::FrozenJobs(board::Board* board, core::Instant now)
    : board_(board), freezer_(board), counted_(now) {}

FrozenJobs::~FrozenJobs() {
  count(0, proc::now());
  board::thaw_all(board_, true);
}

std::vector<FrozenJobs::Job> FrozenJobs::carry_out(const control::EnforcementStep& step,
                                                   core::Instant now) {
  count(jobs_, now);
  if (board_->freezes_no_more) board::thaw_all(board_, true);
  for (const core::ProcessId who : step.thaw) freezer_.thaw(who);
  std::vector<Job> failed;
  for (const Job& job : step.freeze) {
    ++board_->freeze_count;  // before anybody can see it stand still: this process may die then
    if (std::ranges::all_of(job, [&](core::ProcessId who) { return freezer_.freeze(who); })) {
      continue;
    }
    --board_->freeze_count;
    for (const core::ProcessId who : job) freezer_.thaw(who);
    failed.push_back(job);
  }
  return failed;
}

void FrozenJobs::count(int jobs, core::Instant now) {
  board_->frozen_ns += jobs_ * (now - counted_).count();
  counted_ = now;
  jobs_ = jobs;
  board_->frozen_peak = std::max(board_->frozen_peak, static_cast<std::uint32_t>(jobs));
}

}  // namespace tokenpool::arbiter
