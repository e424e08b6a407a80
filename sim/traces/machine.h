// A machine in simulated time: CPUs that are shared fairly, a build whose jobs compute and sleep,
// and others who take CPUs without asking, outside of the build and in it. What the governor and
// the billing steer, for their tests.
#pragma once

#include <cstdint>
#include <vector>

#include "control/billing.h"
#include "control/governor.h"

namespace tokenpool::traces {

/// Of simulated time, in seconds; kTicksOfStep make a step of the governor.
inline constexpr double kTick = 0.005;
inline constexpr int kTicksOfStep = 50;
/// Processes of the simulated build.
inline constexpr int kFront = 1;
inline constexpr int kClient = 2;
inline constexpr int kFirstJob = 3;

/// A build. Times in seconds.
struct Workload {
  const char* name = "";
  double work = 1;         ///< CPU time of a job, on average; each has between half and 1.5 times
  double asleep = 0;       ///< share of its time that a job would sleep on an idle machine
  double burst = 0.03;     ///< CPU time between two sleeps, on average
  double burst_every = 0;  ///< 0: there are always jobs; else so many come each `burst_every`
  int burst_jobs = 0;
  double foreign = 0;  ///< threads of others that always want to run, per CPU ...
  double foreign_from = 0;
  double foreign_until = 0;  ///< ... in this time
  int greedy = 0;            ///< threads of a job that ignores the pool and computes ...
  double greedy_from = 0;    ///< ... from the first slot that is free after this
  double greedy_until = 0;   ///< ... to here
};

/// A job that runs; what is left of it, in seconds.
struct Job {
  double work = 0;   ///< CPU time
  double burst = 0;  ///< CPU time until it sleeps
  double sleep = 0;  ///< time until it computes
  int number = 0;    ///< which one it is, to whoever wants to know
  int threads = 1;
  double used = 0;    ///< CPU time in its life
  double had = 0;     ///< CPU time; whoever wants to know sets it to 0, as the next
  double waited = 0;  ///< for a CPU
};

/// How many threads of them compute.
int count_runnable(const std::vector<Job>& jobs);

/// One tick of CPUs that are shared fairly with `foreign` threads of others. What each side used
/// and waited for is added to `sum`.
void share_tick(int cpus, double foreign, std::vector<Job>* jobs, control::LoadSample* sum);

/// The sample of a step, from the sum over its ticks. `in_use` of `slots` are taken now.
control::LoadSample sample_of(control::LoadSample sum, int cpus, int in_use, int slots);

/// The time after so many ticks.
core::Instant time_of(std::int64_t ticks);

class Machine {
 public:
  Machine(int cpus, const Workload& workload, std::uint64_t seed);

  /// Goes on for kGovernorStep with at most so many jobs at once; those that run are left alone.
  control::LoadSample run(int slots);
  /// What a census says of the time since the one before: the client kClient, which holds a slot
  /// for each job but one, and its jobs, pids from kFirstJob on.
  control::BillingSample census();
  /// The job that ignores the pool. 0: there was none yet.
  [[nodiscard]] int greedy_pid() const { return greedy_; }
  /// When it began.
  [[nodiscard]] core::Instant greedy_since() const { return time_of(greedy_tick_); }
  /// Simulated.
  [[nodiscard]] core::Instant now() const { return time_of(ticks_); }
  /// CPU seconds that the build has had so far.
  [[nodiscard]] double done() const { return done_; }

 private:
  void start_jobs(int slots);
  void compute(control::LoadSample* sum);
  double around(double mean);
  [[nodiscard]] double time() const { return static_cast<double>(ticks_) * kTick; }

  int cpus_;
  Workload workload_;
  std::uint64_t random_;
  std::int64_t ticks_ = 0;
  int queue_ = 0;  ///< jobs that may start, where they are numbered
  int started_ = 0;
  int greedy_ = 0;
  std::int64_t greedy_tick_ = 0;
  double done_ = 0;
  double reaped_ = 0;      ///< CPU time of jobs that ended since the census before
  double ended_used_ = 0;  ///< CPU time of all jobs that have ended
  std::int64_t last_census_ = 0;
  std::vector<Job> jobs_;
};

}  // namespace tokenpool::traces
