// What the machine does: how busy the CPUs are that this process may use, and how many threads wait
// for one. For an elastic pool (control/governor.h).
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "core/effect.h"
#include "proc/group_usage.h"
#include "proc/kept_file.h"

namespace tokenpool::proc {

/// Between two readings; in CPUs (seconds per second).
struct Load {
  double use = 0;             ///< by everybody, of `capacity`
  double delay = 0;           ///< by threads that were runnable and did not run
  double capacity = 1;        ///< that could be had, > 0
  std::optional<double> own;  ///< by the control group; none: it cannot be told
  /// Part of the time, at most 1, in which all threads that had something to do waited for a disk.
  double disk_stall = 0;
  friend bool operator==(const Load&, const Load&) = default;
};

/// Reads a few files that it keeps open; a reading costs some 10 us and no process is looked at.
///  * Use: /proc/stat (proc_stat(5)) of the CPUs of `cpus`. Capacity: their number less the time
///    that a hypervisor took (steal).
///  * Delay: the run_delay of /proc/schedstat (Documentation/scheduler/sched-stats). Kernels
///    without it tell how many threads are runnable now (procs_running): those beyond the CPUs
///    that are busy, in the part that `cpus` has of the machine. That is a sample, not a sum.
///  * Where a quota of this process's control group, or of one above it, leaves less than the
///    machine does, use and capacity are of that group (cpu.stat and cpu.max; cpuacct.usage and
///    cpu.cfs_quota_us in version 1), and what it was throttled for is delay. Quotas are read anew
///    each time.
///  * Disk: the "full" line of io.pressure in `own` and of /proc/pressure/io
///    (Documentation/accounting/psi), whichever is more: beside others that compute, only the first
///    tells that the build does not get on.
/// What cannot be read bounds nothing. Moves, does not copy.
class LoadMeter {
 public:
  /// `own`: folder of the control group whose use is Load::own; empty: there is none. `root` is
  /// put before /proc and the mounts (not before `own`), for tests.
  LoadMeter(const std::string& root, std::vector<int> cpus, const std::string& own);

  /// What happened since the last call; nothing at the first, without /proc/stat, or when no time
  /// has passed.
  std::optional<Load> read(core::Instant now);

 private:
  struct Group {  ///< this process's, or one above it
    int version = 2;
    KeptFile quota;
    KeptFile period;  ///< version 1
    KeptFile stat;
    KeptFile usage;  ///< version 1
  };
  struct Used {                   ///< of a group, seconds
    std::optional<double> quota;  ///< CPUs
    std::optional<double> usage;
    double throttled = 0;
  };
  struct Counters {
    core::Instant at{};
    double busy = 0;      ///< seconds, of our CPUs
    double busy_all = 0;  ///< of all
    double steal = 0;
    int online = 0;   ///< CPUs
    int usable = 0;   ///< ... of ours
    int running = 0;  ///< threads, now
    std::optional<double> delay;
    std::optional<double> own;
    std::array<std::optional<double>, 2> disk_stalls;  ///< of the group, of the machine
    std::vector<Used> groups;
  };

  void add_groups(const std::string& root);
  [[nodiscard]] bool is_ours(int cpu) const;
  void read_stat(Counters* counters);
  void read_schedstat(Counters* counters);
  static Used read_group(Group* group);
  [[nodiscard]] Load between(const Counters& from, const Counters& to) const;

  std::vector<int> cpus_;  ///< in order
  double tick_;            ///< seconds
  KeptFile stat_;
  KeptFile schedstat_;
  GroupUsage own_;
  std::array<KeptFile, 2> disk_;  ///< io.pressure of the group, and of the machine
  std::vector<Group> groups_;
  std::optional<Counters> last_;
};

/// The CPUs that sched_getaffinity(2) allows, in order; CPU 0 where it fails.
std::vector<int> allowed_cpus();

}  // namespace tokenpool::proc
