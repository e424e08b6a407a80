#include "sim/traces/uncooperative.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>

#include "control/billing.h"
#include "control/governor.h"
#include "core/limits.h"
#include "sim/traces/machine.h"

namespace tokenpool::traces {
namespace {

// Seconds.
constexpr double kFrom = 10;
constexpr double kUntil = 30;
constexpr double kEnd = 45;
/// So long after its begin or end everything has to have found its place.
constexpr double kSettled = 6;

double seconds(core::Instant time) { return std::chrono::duration<double>(time).count(); }

/// Means of a part of the course, in CPUs.
struct Part {
  int steps = 0;
  double use = 0;
  double demand = 0;
  double most_demand = 0;
  int least_slots = core::kMaxSlots;
  int most_slots = 0;

  void add(const control::LoadSample& sample, int slots) {
    const double now = sample.use + sample.delay;
    ++steps;
    use += (sample.use - use) / steps;
    demand += (now - demand) / steps;
    most_demand = std::max(most_demand, now);
    least_slots = std::min(least_slots, slots);
    most_slots = std::max(most_slots, slots);
  }
};

struct Course {
  std::optional<double> named;     ///< seconds after its begin
  std::optional<double> released;  ///< seconds after its end
  bool wrong = false;              ///< somebody else was accused
  Part during;
  Part after;
};

/// The slots as the arbiter of a run has them: what is withheld comes off those that are set or
/// that the governor says, but one stays.
class Arbiter {
 public:
  Arbiter(int cpus, bool elastic) : slots_(cpus) {
    const int max = std::min(control::kMaxSlotsPerCpu * cpus, core::kMaxSlots);
    if (elastic) governor_.emplace(1, max, cpus);
  }
  void step(Machine* machine, const control::LoadSample& sample) {
    static_assert(control::kBillingStep == 2 * control::kGovernorStep);
    if (governor_) slots_ = governor_->step(sample, machine->now());
    if (++steps_ % 2 == 0) billing_.step(machine->census(), machine->now());
  }
  [[nodiscard]] int slots() const { return slots_ - std::min(billing_.withheld(), slots_ - 1); }
  [[nodiscard]] const std::vector<control::Accusation>& accused() const {
    return billing_.accused();
  }

 private:
  int slots_;
  int steps_ = 0;
  std::optional<control::Governor> governor_;
  control::Billing billing_;
};

Course play(int cpus, const Workload& workload, bool elastic) {
  Machine machine(cpus, workload, 7);
  Arbiter arbiter(cpus, elastic);
  Course course;
  while (seconds(machine.now()) < kEnd) {
    const control::LoadSample sample = machine.run(arbiter.slots());
    arbiter.step(&machine, sample);
    const double time = seconds(machine.now());
    const auto& accused = arbiter.accused();
    course.wrong =
        course.wrong || std::any_of(accused.begin(), accused.end(), [&](const auto& one) {
          return one.who.pid != machine.greedy_pid();
        });
    if (!accused.empty() && !course.named) {
      course.named = time - seconds(machine.greedy_since());
    }
    if (accused.empty() && time > kUntil && !course.released) course.released = time - kUntil;
    if (time > kFrom + kSettled && time <= kUntil) course.during.add(sample, arbiter.slots());
    if (time > kUntil + kSettled) course.after.add(sample, arbiter.slots());
  }
  return course;
}

class Table {
 public:
  void row(int cpus, const Workload& workload, bool elastic) {
    const Course course = play(cpus, workload, elastic);
    const auto& [steps, use, demand, most, least_slots, most_slots] = course.during;
    const auto time = [](std::optional<double> one) { return one.value_or(-1); };
    std::printf("%-8s %-7s %3d %4d | %5.2f %5.2f | %5.3f %5.2f %5.2f %3d-%-3d | %5.3f %5.2f\n",
                workload.name, elastic ? "-j auto" : "-j CPUS", cpus, workload.greedy,
                time(course.named), time(course.released), use / cpus, demand / cpus, most / cpus,
                least_slots, most_slots, course.after.use / cpus, course.after.demand / cpus);
    const auto expect = [&](bool holds, const char* what) {
      if (holds) return;
      passed_ = false;
      std::printf("WRONG: %s\n", what);
    };
    expect(!course.wrong, "an innocent process was accused");
    // Where the others sleep, their slots may be enough for it.
    if (workload.asleep == 0) expect(course.named && *course.named <= 3, "not named within 3 s");
    expect(course.released && *course.released <= 1, "it has ended and the build still pays");
    expect(use >= 0.95 * cpus, "CPUs are idle while it is paid for");
    // It cannot be made to run less, and one slot stays to the others.
    const double bound = std::max(cpus + std::sqrt(cpus), workload.greedy + 1.0);
    expect(demand <= bound, "overload while it is paid for");
    expect(most <= 1.15 * bound, "overshoot while it is paid for");
    expect(most_slots - least_slots <= std::max(2, cpus / 4), "the slots oscillate");
    const bool fills = elastic || workload.asleep == 0;
    expect(course.after.use >= (fills ? 0.88 : 0.45) * cpus, "CPUs are idle after its end");
    expect(course.after.demand <= 1.05 * (cpus + std::sqrt(cpus)), "overload after its end");
  }
  [[nodiscard]] bool passed() const { return passed_; }

 private:
  bool passed_ = true;
};

}  // namespace

bool check_uncooperative() {
  std::printf(
      "\nA job with so many threads, for 20 s: seconds to its name and to its release; use and "
      "demand as above\n");
  std::printf("                 CPUs thr | named relea | use  demand most slots | after\n");
  Table table;
  for (const int cpus : {1, 2, 4, 8, 16, 64}) {
    for (const double share : {0.5, 1.0, 2.0}) {
      Workload workload{.name = "steady", .work = 0.8};
      workload.greedy = 1 + std::max(1, static_cast<int>(share * cpus));
      workload.greedy_from = kFrom;
      workload.greedy_until = kUntil;
      Workload sleepers = workload;
      sleepers.name = "sleepers";
      sleepers.asleep = 0.5;
      for (const bool elastic : {false, true}) {
        table.row(cpus, workload, elastic);
        table.row(cpus, sleepers, elastic);
      }
    }
  }
  return table.passed();
}

}  // namespace tokenpool::traces
