#include <algorithm>
#include <cerrno>
#include <cmath>
#include <fstream>

#include <sched.h>

#include "core/limits.h"
#include "proc/capacity.h"
#include "proc/cgroup_paths.h"

namespace tokenpool::proc {
namespace {

int affinity_count() {
  cpu_set_t* const set = CPU_ALLOC(kMaxCpus);
  if (set == nullptr) return 1;
  const std::size_t size = CPU_ALLOC_SIZE(kMaxCpus);
  CPU_ZERO_S(size, set);
  const int count = sched_getaffinity(0, size, set) == 0 ? CPU_COUNT_S(size, set) : 1;
  CPU_FREE(set);
  return std::max(count, 1);
}

struct Quota {
  double cpus;
  std::string file;
};

std::optional<double> ratio(double quota, double period) {
  if (quota <= 0 || period <= 0) return std::nullopt;
  return quota / period;
}

std::optional<Quota> read_quota(const std::string& root, int version, const std::string& folder) {
  const std::string file = folder + (version == 2 ? "/cpu.max" : "/cpu.cfs_quota_us");
  std::ifstream stream(root + file);
  double quota = 0;
  double period = 0;
  // "max 100000" and -1 mean that there is no quota: the first is no number, the second not
  // positive.
  if (!(stream >> quota)) return std::nullopt;
  if (version == 2) {
    if (!(stream >> period)) return std::nullopt;
  } else if (!(std::ifstream(root + folder + "/cpu.cfs_period_us") >> period)) {
    return std::nullopt;
  }
  const std::optional<double> cpus = ratio(quota, period);
  if (!cpus) return std::nullopt;
  return Quota{*cpus, file};
}

}  // namespace

Capacity read_capacity(const std::string& root, int affinity) {
  Capacity capacity;
  capacity.affinity = std::max(affinity, 1);
  for (const CgroupPath& path : cgroup_paths(root, "cpu")) {
    for (std::string folder = path.folder;; folder.resize(folder.rfind('/'))) {
      const std::optional<Quota> quota = read_quota(root, path.version, folder);
      if (quota && (!capacity.quota || quota->cpus < *capacity.quota)) {
        capacity.quota = quota->cpus;
        capacity.quota_file = quota->file;
      }
      if (folder.size() <= path.mount.size()) break;
    }
  }
  double usable = capacity.affinity;
  if (capacity.quota) usable = std::min(usable, std::ceil(*capacity.quota));
  capacity.usable = static_cast<int>(std::clamp(usable, 1.0, double{core::kMaxSlots}));
  return capacity;
}

Capacity capacity() { return read_capacity("", affinity_count()); }

int usable_cpus() { return capacity().usable; }

}  // namespace tokenpool::proc
