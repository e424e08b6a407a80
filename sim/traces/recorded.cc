#include "sim/traces/recorded.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "sim/traces/replay.h"

namespace tokenpool::traces {
namespace {

/// Times the makespan of the best fixed -j, which pays nothing here for an overload of up to three
/// jobs for each CPU, and may need it.
constexpr double kWithin = 1.15;
/// Times as fast as -j with the CPUs, if jobs wait for so large a part of their time.
constexpr double kFaster = 1.3;
constexpr double kWaiting = 1.0 / 3;
/// Demand beyond the CPUs, in square roots of their number (control/governor.h): the mean of the
/// build, and of its worst second, since what runs when jobs begin to compute is not called back.
constexpr double kMeanOver = 1;
constexpr double kPeakOver = 2.5;
/// Of work for each CPU.
constexpr double kLeastSeconds = 10;

struct Best {
  int slots = 0;
  Replayed replayed;
};

Best best_fixed(const Trace& trace, int cpus) {
  Best best;
  const int most = control::kMaxSlotsPerCpu * cpus;
  for (int slots = std::max(1, cpus / 2); slots <= most; slots += std::max(1, cpus / 8)) {
    const Replayed replayed = replay(trace, cpus, fixed_slots(slots).get());
    if (best.slots == 0 || replayed.makespan < best.replayed.makespan) best = {slots, replayed};
  }
  return best;
}

class Table {
 public:
  Table(const Trace& trace, int cpus, int builds);
  /// Prints the rows. False where ours is not as good as it has to be.
  bool print();

 private:
  void row(const char* name, int slots, const Replayed& replayed);
  void expect(bool holds, const char* what);

  const Trace& trace_;
  int cpus_;
  int builds_;
  double bound_;  ///< seconds that nobody can stay below
  bool good_ = true;
};

Table::Table(const Trace& trace, int cpus, int builds)
    : trace_(trace),
      cpus_(cpus),
      builds_(builds),
      bound_(std::max(trace.work() / cpus, trace.longest_chain())) {}

void Table::row(const char* name, int slots, const Replayed& replayed) {
  std::printf("%-10s %6d %5d | %-17s %4d | %7.2f %6.3f %6.3f | %4d %6.2f %5.2f\n",
              trace_.name.c_str(), builds_, cpus_, name, slots, replayed.makespan,
              replayed.makespan / bound_, replayed.utilisation, replayed.most_runnable,
              replayed.most_demand / cpus_, replayed.demand / cpus_);
  expect(replayed.makespan >= bound_ - kTick, "faster than is possible");
}

void Table::expect(bool holds, const char* what) {
  if (holds) return;
  good_ = false;
  std::printf("WRONG: %s on %d CPUs: %s\n", trace_.name.c_str(), cpus_, what);
}

bool Table::print() {
  const int most = control::kMaxSlotsPerCpu * cpus_;
  const Replayed plain = replay(trace_, cpus_, fixed_slots(cpus_).get());
  row("-j CPUS", cpus_, plain);
  const Best best = best_fixed(trace_, cpus_);
  row("best fixed -j", best.slots, best.replayed);
  row("make -l CPUS", most, replay(trace_, cpus_, runnable_of_make(most, cpus_).get()));
  row("ninja -l CPUS", most, replay(trace_, cpus_, load_average_of_ninja(most, cpus_).get()));
  const auto policy = governed(cpus_);
  const Replayed ours = replay(trace_, cpus_, policy.get());
  row("tokenpool -j auto", policy->slots(), ours);
  expect(ours.makespan <= kWithin * best.replayed.makespan, "slower than the best -j");
  expect(ours.makespan <= plain.makespan, "slower than -j with the CPUs");
  if (trace_.wait() >= kWaiting * (trace_.work() + trace_.wait())) {
    expect(kFaster * ours.makespan <= plain.makespan, "hardly faster than -j with the CPUs");
  }
  const double root = std::sqrt(cpus_);
  expect(ours.demand <= cpus_ + kMeanOver * root, "overload");
  expect(ours.most_demand <= cpus_ + kPeakOver * root, "overload for a second");
  return good_;
}

/// One build does not keep a large machine busy for long enough to tell a policy from another.
int builds_for(const Trace& trace, int cpus) {
  int builds = 1;
  while (trace.work() * builds < kLeastSeconds * cpus) builds *= 2;
  return builds;
}

}  // namespace

bool compare_recorded(const std::vector<std::string>& files) {
  std::printf(
      "bound: the CPU time over the CPUs, or the longest chain; runnable at most; demand in\n"
      "CPUs over the CPUs: of the worst second, and of the whole build\n"
      "recorded   builds  CPUs | decided by    slots <= | seconds /bound   used | peak"
      "  worst  mean\n");
  bool good = true;
  for (const std::string& file : files) {
    const auto trace = read_trace(file);
    if (!trace) return false;
    for (const int cpus : {2, 16, 256}) {
      const int builds = builds_for(*trace, cpus);
      const Trace all = one_after_another(*trace, builds);
      good &= Table(all, cpus, builds).print();
    }
  }
  return good;
}

}  // namespace tokenpool::traces
