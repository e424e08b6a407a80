#include "sim/traces/machine.h"

#include <algorithm>

namespace tokenpool::traces {
namespace {

constexpr double kTick = 0.005;
constexpr int kTicksOfStep = 50;
/// From the token to the first instruction of the job.
constexpr double kSpawn = 0.01;

}  // namespace

Machine::Machine(int cpus, const Workload& workload, std::uint64_t seed)
    : cpus_(cpus), workload_(workload), random_(seed * 2 + 1) {}

core::Instant Machine::now() const {
  return std::chrono::duration_cast<core::Instant>(
      std::chrono::duration<double>(static_cast<double>(ticks_) * kTick));
}

// Evenly between half and 1.5 times the mean (a linear congruential generator of Knuth's).
double Machine::around(double mean) {
  random_ = random_ * 6364136223846793005ULL + 1442695040888963407ULL;
  return mean * (0.5 + static_cast<double>(random_ >> 33) / static_cast<double>(1ULL << 31));
}

void Machine::start_jobs(int slots) {
  if (workload_.burst_every > 0) {
    const auto every = static_cast<std::int64_t>(workload_.burst_every / kTick);
    if (ticks_ % every == 0) queue_ += workload_.burst_jobs;
  }
  const bool endless = workload_.burst_every == 0;
  while (static_cast<int>(jobs_.size()) < slots && (endless || queue_ > 0)) {
    if (!endless) --queue_;
    jobs_.push_back({around(workload_.work), around(workload_.burst), kSpawn});
  }
}

void Machine::compute(core::LoadSample* sum) {
  const double time = static_cast<double>(ticks_) * kTick;
  const bool others = time >= workload_.foreign_from && time < workload_.foreign_until;
  const double foreign = others ? workload_.foreign * cpus_ : 0;
  const auto ours = static_cast<double>(
      std::count_if(jobs_.begin(), jobs_.end(), [](const Job& job) { return job.sleep <= 0; }));
  const double runnable = ours + foreign;
  const double each = runnable > cpus_ ? cpus_ / runnable : 1;
  for (Job& job : jobs_) {
    if (job.sleep > 0) {
      job.sleep -= kTick;
      continue;
    }
    job.work -= each * kTick;
    job.burst -= each * kTick;
    if (job.burst <= 0 && workload_.asleep > 0) {
      job.burst = around(workload_.burst);
      job.sleep = around(workload_.burst) * workload_.asleep / (1 - workload_.asleep);
    }
  }
  std::erase_if(jobs_, [](const Job& job) { return job.work <= 0; });
  done_ += ours * each * kTick;
  sum->own += ours * each;
  sum->use += runnable * each;
  sum->delay += runnable * (1 - each);
}

core::LoadSample Machine::run(int slots) {
  core::LoadSample sample;
  for (int i = 0; i < kTicksOfStep; ++i) {
    start_jobs(slots);
    compute(&sample);
    ++ticks_;
  }
  sample.own /= kTicksOfStep;
  sample.use /= kTicksOfStep;
  sample.delay /= kTicksOfStep;
  sample.capacity = cpus_;
  start_jobs(slots);
  sample.in_use = static_cast<int>(jobs_.size());
  sample.exhausted = sample.in_use >= slots;
  return sample;
}

}  // namespace tokenpool::traces
