// How many CPUs this process may use: the default width of a pool.
#pragma once

#include <optional>
#include <string>

namespace tokenpool::proc {

/// The kernel's own maximum of CONFIG_NR_CPUS is 8192; a mask of that size always suffices.
inline constexpr int kMaxCpus = 8192;

struct Capacity {
  int affinity = 1;             ///< CPUs that sched_getaffinity(2) allows; 1 when it fails
  std::optional<double> quota;  ///< CPUs that the tightest cgroup quota allows; none: no quota
  std::string quota_file;       ///< the file that says so; empty without a quota
  int usable = 1;               ///< min(affinity, quota rounded up), within 1..core::kMaxSlots
  friend bool operator==(const Capacity&, const Capacity&) = default;
};

/// Reads the quota of this process's cgroup and of all its ancestors that are visible: cpu.max (v2)
/// and cpu.cfs_quota_us with cpu.cfs_period_us (v1), per the kernel's
/// Documentation/admin-guide/cgroup-v2 and scheduler/sched-bwc. What cannot be read or parsed sets
/// no quota. `root` is put before every path
/// (/proc/self/cgroup, /proc/self/mountinfo and the mounts), for tests; `affinity` as in Capacity.
Capacity read_capacity(const std::string& root, int affinity);

/// read_capacity() of this machine and process.
Capacity capacity();

/// capacity().usable. Never fails, never less than 1.
int usable_cpus();

}  // namespace tokenpool::proc
