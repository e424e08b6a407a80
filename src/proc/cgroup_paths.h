// Where this process's control groups are found in the file system.
#pragma once

#include <string>
#include <vector>

namespace tokenpool::proc {

struct CgroupPath {
  int version = 2;     ///< 1 or 2
  std::string mount;   ///< where the hierarchy is mounted, without `root`
  std::string folder;  ///< this process's group below it, the mount itself if it is not visible
  friend bool operator==(const CgroupPath&, const CgroupPath&) = default;
};

/// The cgroup2 hierarchy, if one is mounted, and the v1 hierarchy of `controller`, if there is one,
/// as seen by this process (cgroups(7), proc(5) for mountinfo). Empty when /proc tells nothing.
/// `root` is put before /proc/self/..., for tests.
std::vector<CgroupPath> cgroup_paths(const std::string& root, const std::string& controller);

}  // namespace tokenpool::proc
