#include "sim/traces/machine.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

namespace tokenpool::traces {
namespace {

/// From the token to the first instruction of the job.
constexpr double kSpawn = 0.01;

constexpr double kEndless = std::numeric_limits<double>::infinity();

}  // namespace

core::Instant time_of(std::int64_t ticks) {
  return std::chrono::duration_cast<core::Instant>(
      std::chrono::duration<double>(static_cast<double>(ticks) * kTick));
}

int count_runnable(const std::vector<Job>& jobs) {
  return std::accumulate(jobs.begin(), jobs.end(), 0, [](int sum, const Job& job) {
    return job.sleep > 0 ? sum : sum + job.threads;
  });
}

void share_tick(int cpus, double foreign, std::vector<Job>* jobs, control::LoadSample* sum) {
  const double ours = count_runnable(*jobs);
  const double runnable = ours + foreign;
  const double each = runnable > cpus ? cpus / runnable : 1;
  for (Job& job : *jobs) {
    if (job.sleep > 0) {
      job.sleep -= kTick;
      continue;
    }
    job.work -= each * kTick;
    job.burst -= each * kTick;
    job.had += job.threads * each * kTick;
    job.used += job.threads * each * kTick;
    job.waited += job.threads * (1 - each) * kTick;
  }
  sum->own += ours * each;
  sum->use += runnable * each;
  sum->delay += runnable * (1 - each);
}

control::LoadSample sample_of(control::LoadSample sum, int cpus, int in_use, int slots) {
  sum.own /= kTicksOfStep;
  sum.use /= kTicksOfStep;
  sum.delay /= kTicksOfStep;
  sum.capacity = cpus;
  sum.in_use = in_use;
  sum.exhausted = in_use >= slots;
  return sum;
}

Machine::Machine(int cpus, const Workload& workload, std::uint64_t seed)
    : cpus_(cpus), workload_(workload), random_(seed * 2 + 1) {}

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
    jobs_.push_back({around(workload_.work), around(workload_.burst), kSpawn, started_++});
    if (workload_.greedy > 0 && greedy_ == 0 && time() >= workload_.greedy_from) {
      greedy_ = kFirstJob + jobs_.back().number;
      greedy_tick_ = ticks_;
      jobs_.back().threads = workload_.greedy;
      jobs_.back().work = jobs_.back().burst = kEndless;
    }
  }
}

void Machine::compute(control::LoadSample* sum) {
  const bool others = time() >= workload_.foreign_from && time() < workload_.foreign_until;
  share_tick(cpus_, others ? workload_.foreign * cpus_ : 0, &jobs_, sum);
  for (Job& job : jobs_) {
    if (job.work == kEndless && time() >= workload_.greedy_until) job.work = 0;
    if (job.burst > 0 || workload_.asleep == 0) continue;
    job.burst = around(workload_.burst);
    job.sleep = around(workload_.burst) * workload_.asleep / (1 - workload_.asleep);
  }
  std::erase_if(jobs_, [this](const Job& job) {
    if (job.work > 0) return false;
    reaped_ += job.had;
    ended_used_ += job.used;
    return true;
  });
}

control::LoadSample Machine::run(int slots) {
  control::LoadSample sum;
  for (int i = 0; i < kTicksOfStep; ++i) {
    start_jobs(slots);
    compute(&sum);
    ++ticks_;
  }
  done_ += sum.own * kTick;
  start_jobs(slots);
  return sample_of(sum, cpus_, static_cast<int>(jobs_.size()), slots);
}

control::BillingSample Machine::census() {
  const double since = static_cast<double>(ticks_ - std::exchange(last_census_, ticks_)) * kTick;
  const core::ProcessId client{kClient, 0};
  control::BillingSample sample{.root = kFront, .loads = {}, .holdings = {}, .loose = 0};
  sample.loads.push_back({client, kFront, 0, std::exchange(reaped_, 0) / since, ended_used_});
  for (Job& job : jobs_) {
    const core::ProcessId who{kFirstJob + job.number, static_cast<std::uint64_t>(job.number)};
    sample.loads.push_back({who, kClient, (job.had + job.waited) / since, 0, job.used});
    job.had = job.waited = 0;
  }
  sample.holdings.push_back({client, std::max(0, static_cast<int>(jobs_.size()) - 1), true});
  return sample;
}

}  // namespace tokenpool::traces
