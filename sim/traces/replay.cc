#include "sim/traces/replay.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <numeric>
#include <set>

namespace tokenpool::traces {
namespace {

/// CPU time between two pieces of waiting.
constexpr double kBurst = 0.03;

constexpr std::size_t kPeakSteps = kPeakWindow / control::kGovernorStep;

/// The pieces of a job: each work, then a wait.
int count_pieces(const RecordedJob& job) {
  return job.wait > 0 ? std::max(1, static_cast<int>(std::ceil(job.work / kBurst))) : 1;
}

class Replay {
 public:
  Replay(const Trace& trace, int cpus, Policy* policy);
  Replayed run();

 private:
  void start_jobs();
  void start_job(int number);
  void compute();
  void end_job(int number);
  void end_step();

  const Trace& trace_;
  int cpus_;
  Policy* policy_;
  std::int64_t ticks_ = 0;
  std::vector<Job> jobs_;
  std::set<int> ready_;
  std::vector<int> missing_;             ///< jobs that each one waits for
  std::vector<int> pieces_left_;         ///< of each one that runs
  std::vector<std::vector<int>> after_;  ///< who waits for it
  int ended_ = 0;                        ///< since the policy was asked
  std::size_t done_ = 0;
  control::LoadSample sum_;    ///< of this step
  std::deque<double> recent_;  ///< demand of the last steps, up to kPeakWindow
  double used_ = 0;            ///< CPU seconds
  Replayed answer_;
};

Replay::Replay(const Trace& trace, int cpus, Policy* policy)
    : trace_(trace),
      cpus_(cpus),
      policy_(policy),
      pieces_left_(trace.jobs.size()),
      after_(trace.jobs.size()) {
  for (std::size_t i = 0; i < trace.jobs.size(); ++i) {
    const std::vector<int>& before = trace.jobs[i].before;
    missing_.push_back(static_cast<int>(before.size()));
    if (before.empty()) ready_.insert(static_cast<int>(i));
    for (const int job : before)
      after_[static_cast<std::size_t>(job)].push_back(static_cast<int>(i));
  }
}

void Replay::start_jobs() {
  int room = policy_->room(
      {time_of(ticks_), static_cast<int>(jobs_.size()), count_runnable(jobs_), ended_});
  ended_ = 0;
  for (; room > 0 && !ready_.empty(); --room) {
    start_job(*ready_.begin());
    ready_.erase(ready_.begin());
  }
}

void Replay::start_job(int number) {
  const RecordedJob& job = trace_.jobs[static_cast<std::size_t>(number)];
  const int pieces = count_pieces(job);
  jobs_.push_back({job.work, job.work / pieces, 0, number});
  pieces_left_[static_cast<std::size_t>(number)] = pieces;
}

void Replay::end_job(int number) {
  ++done_;
  ++ended_;
  for (const int job : after_[static_cast<std::size_t>(number)]) {
    if (--missing_[static_cast<std::size_t>(job)] == 0) ready_.insert(job);
  }
}

void Replay::compute() {
  answer_.most_runnable = std::max(answer_.most_runnable, count_runnable(jobs_));
  share_tick(cpus_, 0, &jobs_, &sum_);
  for (Job& job : jobs_) {
    int& left = pieces_left_[static_cast<std::size_t>(job.number)];
    if (job.burst > 0 || left == 0) continue;
    const RecordedJob& recorded = trace_.jobs[static_cast<std::size_t>(job.number)];
    const int pieces = count_pieces(recorded);
    // What a tick gave too much is taken off the next piece.
    job.sleep += recorded.wait / pieces;
    if (--left > 0) job.burst += recorded.work / pieces;
  }
  std::erase_if(jobs_, [this](const Job& job) {
    const bool ends = pieces_left_[static_cast<std::size_t>(job.number)] == 0 && job.sleep <= 0;
    if (ends) end_job(job.number);
    return ends;
  });
}

void Replay::end_step() {
  used_ += sum_.own * kTick;
  const double demand = (sum_.use + sum_.delay) / kTicksOfStep;
  answer_.demand += demand * kTicksOfStep;
  recent_.push_back(demand);
  if (recent_.size() > kPeakSteps) recent_.pop_front();
  answer_.most_demand = std::max(
      answer_.most_demand, std::accumulate(recent_.begin(), recent_.end(), 0.0) / (kPeakSteps));
  const int running = static_cast<int>(jobs_.size());
  policy_->step(sample_of(sum_, cpus_, running, policy_->slots()), time_of(ticks_));
  sum_ = {};
}

Replayed Replay::run() {
  while (done_ < trace_.jobs.size()) {
    start_jobs();
    // What was free for a moment is in use again.
    if (ticks_ > 0 && ticks_ % kTicksOfStep == 0) end_step();
    compute();
    ++ticks_;
  }
  const auto ticks = static_cast<double>(ticks_);
  answer_.makespan = ticks * kTick;
  answer_.utilisation = (used_ + sum_.own * kTick) / (answer_.makespan * cpus_);
  answer_.demand = (answer_.demand + sum_.use + sum_.delay) / ticks;
  return answer_;
}

}  // namespace

Replayed replay(const Trace& trace, int cpus, Policy* policy) {
  return Replay(trace, cpus, policy).run();
}

}  // namespace tokenpool::traces
