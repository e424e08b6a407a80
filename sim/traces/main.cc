// The governor on machines of all sizes, beside what else decides how many jobs run: a fixed -j and
// the load average. Prints the table, and fails where the governor is not as good as it has to be.
// Its arguments are recorded builds; they are replayed instead (recorded.h).
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <vector>

#include "control/governor.h"
#include "core/limits.h"
#include "sim/traces/machine.h"
#include "sim/traces/recorded.h"
#include "sim/traces/uncooperative.h"

namespace tokenpool::traces {
namespace {

constexpr double kSeconds = 60;
/// Until here everything has to have found its place.
constexpr double kSettled = 5;

double seconds(core::Instant time) { return std::chrono::duration<double>(time).count(); }

/// Answers the slots of the next step.
using Policy = std::function<int(const control::LoadSample&, core::Instant)>;

struct Outcome {
  double throughput = 0;  ///< CPU seconds of the build per second, after kSettled
  double demand = 0;      ///< mean of the machine, in capacities
  double peak = 0;        ///< the most of one step, after kSettled
  int least = 0;          ///< slots, after kSettled ...
  int most = 0;           ///< ... and most
  double first_raise = -1;
  std::vector<int> slots;  ///< of each step
};

Outcome play(int cpus, const Workload& workload, int start, const Policy& policy) {
  Machine machine(cpus, workload, 7);
  Outcome outcome;
  int slots = start;
  double demand = 0;
  double before = 0;
  while (seconds(machine.now()) < kSeconds) {
    const control::LoadSample sample = machine.run(slots);
    const double time = seconds(machine.now());
    const double load = (sample.use + sample.delay) / cpus;
    demand += load;
    const int next = policy(sample, machine.now());
    if (next > slots && outcome.first_raise < 0) outcome.first_raise = time;
    if (time <= kSettled) {
      before = machine.done();
      outcome.least = outcome.most = next;
    } else {
      outcome.peak = std::max(outcome.peak, load);
      outcome.least = std::min(outcome.least, next);
      outcome.most = std::max(outcome.most, next);
    }
    slots = next;
    outcome.slots.push_back(slots);
  }
  outcome.throughput = (machine.done() - before) / (kSeconds - kSettled);
  outcome.demand = demand / static_cast<double>(outcome.slots.size());
  return outcome;
}

Outcome governed(int cpus, const Workload& workload) {
  const int max = std::min(control::kMaxSlotsPerCpu * cpus, core::kMaxSlots);
  control::Governor governor(1, max, cpus);
  return play(cpus, workload, cpus, [&](const control::LoadSample& sample, core::Instant now) {
    return governor.step(sample, now);
  });
}

Outcome fixed(int cpus, const Workload& workload, int slots) {
  return play(cpus, workload, slots,
              [slots](const control::LoadSample&, core::Instant) { return slots; });
}

/// `make -l CPUS` or `ninja -l`: a job may start while the kernel's average over a minute, which
/// it brings up to date each 5 s (proc_loadavg(5)), is below.
Outcome by_load_average(int cpus, const Workload& workload) {
  const int max = control::kMaxSlotsPerCpu * cpus;
  double average = 0;
  double sum = 0;
  int steps = 0;
  return play(cpus, workload, max, [&](const control::LoadSample& sample, core::Instant) {
    sum += sample.use + sample.delay;
    if (++steps == 20) {
      average += (sum / steps - average) * (1 - std::exp(-5.0 / 60));
      sum = 0;
      steps = 0;
    }
    // Whoever runs goes on, and one may always run.
    return average < cpus ? max : 1;
  });
}

double best_fixed(int cpus, const Workload& workload) {
  double best = 0;
  for (int slots = cpus; slots <= control::kMaxSlotsPerCpu * cpus; slots += std::max(1, cpus / 4)) {
    best = std::max(best, fixed(cpus, workload, slots).throughput);
  }
  return best;
}

const Workload kSteady{.name = "steady", .work = 0.8};
const Workload kShort{.name = "short", .work = 0.05};
const Workload kSleepers{.name = "sleepers", .work = 0.5, .asleep = 0.5};
const Workload kBursty{.name = "bursty", .work = 0.3, .burst_every = 4, .burst_jobs = 0};
const Workload kForeign{
    .name = "foreign", .work = 0.4, .foreign = 1, .foreign_from = 20, .foreign_until = 40};

bool bad = false;

void expect(bool holds, int cpus, const char* workload, const char* what) {
  if (holds) return;
  bad = true;
  std::printf("WRONG: %s on %d CPUs: %s\n", workload, cpus, what);
}

/// One line of the table.
struct Row {
  Outcome ours;
  Outcome plain;    ///< -j with the CPUs
  double best = 0;  ///< throughput of the best fixed -j
};

Row row(int cpus, const Workload& workload) {
  const Row answer{governed(cpus, workload), fixed(cpus, workload, cpus),
                   best_fixed(cpus, workload)};
  const auto& [ours, same, best] = answer;
  const Outcome load = by_load_average(cpus, workload);
  std::printf("%-9s %3d | %5.3f %5.2f %5.2f %3d-%-3d | %5.3f %5.2f | %5.3f %5.2f | %5.3f\n",
              workload.name, cpus, ours.throughput / cpus, ours.demand, ours.peak, ours.least,
              ours.most, same.throughput / cpus, same.demand, load.throughput / cpus, load.demand,
              best / cpus);
  return answer;
}

int at(const Outcome& outcome, double time) {
  return outcome.slots[static_cast<std::size_t>(time / seconds(control::kGovernorStep)) - 1];
}

bool is_calm(const Outcome& outcome) {
  return outcome.most - outcome.least <= std::max(2, outcome.most / 4);
}

void check(int cpus) {
  for (const Workload& workload : {kSteady, kShort, kSleepers}) {
    const auto [ours, plain, best] = row(cpus, workload);
    expect(1.05 * ours.throughput >= best, cpus, workload.name, "slower than the best fixed -j");
    expect(is_calm(ours), cpus, workload.name, "the slots oscillate");
    if (workload.asleep == 0) {
      expect(ours.demand * cpus <= cpus + std::sqrt(cpus), cpus, workload.name, "overload");
    } else {
      expect(ours.throughput >= 1.3 * plain.throughput, cpus, workload.name,
             "not 1.3 times as fast as -j with the CPUs");
      expect(ours.first_raise > 0 && ours.first_raise <= 1.25, cpus, workload.name,
             "CPUs are idle for longer than a second");
    }
  }

  Workload bursty = kBursty;
  bursty.burst_jobs = 6 * cpus;
  const Row bursts = row(cpus, bursty);
  expect(1.05 * bursts.ours.throughput >= bursts.best, cpus, "bursty",
         "slower than the best fixed -j");
  expect(bursts.ours.demand * cpus <= cpus + std::sqrt(cpus), cpus, "bursty", "overload");

  const Outcome foreign = row(cpus, kForeign).ours;
  const int share = static_cast<int>(std::ceil(std::sqrt(cpus)));
  expect(at(foreign, 24) <= share, cpus, "foreign", "it does not give way");
  expect(at(foreign, 43) >= cpus - cpus / 8, cpus, "foreign", "it does not come back");
}

}  // namespace
}  // namespace tokenpool::traces

int main(int argc, char** argv) {
  if (argc > 1) return tokenpool::traces::compare_recorded({argv + 1, argv + argc}) ? 0 : 1;
  std::printf("CPU time of the build and demand of everybody, as fractions of the machine\n");
  std::printf("              | ours: demand peak slots | -j CPUs     | -l CPUs     | best -j\n");
  for (const int cpus : {1, 2, 4, 8, 16, 64}) tokenpool::traces::check(cpus);
  if (!tokenpool::traces::check_uncooperative()) return 1;
  return tokenpool::traces::bad ? 1 : 0;
}
