// A recorded build on a simulated machine, and who decides there how many of its jobs run.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "control/governor.h"
#include "sim/traces/machine.h"
#include "sim/traces/trace.h"

namespace tokenpool::traces {

/// What whoever decides may know.
struct Moment {
  core::Instant now{};
  int running = 0;   ///< jobs of the build, asleep or not
  int runnable = 0;  ///< those that are not asleep; the machine has no others
  int ended = 0;     ///< since the moment before
};

class Policy {
 public:
  virtual ~Policy() = default;
  /// Asked before each tick: how many jobs may be started now.
  virtual int room(const Moment& moment) = 0;
  /// Told after each step of the governor. The slots are those that `slots()` has answered.
  virtual void step(const control::LoadSample& /*sample*/, core::Instant /*now*/) {}
  [[nodiscard]] virtual int slots() const = 0;
};

/// `-j SLOTS`.
std::unique_ptr<Policy> fixed_slots(int slots);
/// `make -j SLOTS -l CPUS`, as GNU make 4.4 does it (src/job.c, load_too_high): no job is started
/// while more threads are runnable (the fourth field of /proc/loadavg, make itself among them),
/// decided at the end of a job and each second.
std::unique_ptr<Policy> runnable_of_make(int slots, int cpus);
/// `ninja -j SLOTS -l CPUS` (src/real_command_runner.cc, CanRunMore): as many more as the average
/// over a minute, a whole number, is below; decided at the end of a job only.
std::unique_ptr<Policy> load_average_of_ninja(int slots, int cpus);
/// `tokenpool run -j auto`.
std::unique_ptr<Policy> governed(int cpus);

inline constexpr std::chrono::nanoseconds kPeakWindow = std::chrono::seconds(1);

struct Replayed {
  double makespan = 0;     ///< seconds
  double utilisation = 0;  ///< of the CPUs, until the last job ended
  int most_runnable = 0;
  double demand = 0;       ///< mean, in CPUs
  double most_demand = 0;  ///< the mean of the kPeakWindow that had most, in CPUs
};

/// Carries out the whole build. Jobs start in the order of the trace, each as soon as those before
/// it have ended and the policy has room; one that waits does so in pieces, between pieces of its
/// work.
Replayed replay(const Trace& trace, int cpus, Policy* policy);

}  // namespace tokenpool::traces
