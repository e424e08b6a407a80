// A control group of the build's own (cgroups(7)), where one may be made: of version 2 as root, or
// below a delegated group; where no version 2 is mounted, of version 1's cpuacct, as root. Nothing
// leaves it by fork, setsid or a clean environment, so the build can be ended without leaving
// anybody behind, and its CPU time is counted, also of those that have ended (proc/group_usage.h).
#pragma once

#include <string>

#include <sys/types.h>

namespace tokenpool::proc {

/// Where it cannot be made, every call is without effect. Copies name the same group; who makes and
/// who removes it is up to the callers.
class BuildGroup {
 public:
  /// Chooses a name for a group below this process's own; touches nothing.
  void choose_name(const std::string& unique);
  /// Makes the group and locks it (flock(2)) for as long as this process, or one that it forks
  /// later without exec, lives: so others know that it is not dead while it is empty. False: there
  /// is none.
  bool create();
  /// After create(): a descriptor, close-on-exec, with which clone3(CLONE_INTO_CGROUP) starts a
  /// process in it (Linux 5.7, version 2). -1: that is not to be had.
  [[nodiscard]] int fd() const { return version_ == 2 ? fd_ : -1; }
  /// Moves `pid` into it, which takes some 10 ms: the kernel waits for all CPUs. Where that is
  /// refused the group is removed: there is none then.
  void move_in(pid_t pid);
  /// Where its files are; empty where there is no group.
  [[nodiscard]] const std::string& folder() const { return folder_; }
  /// SIGKILLs every process in it: all at once by cgroup.kill (version 2, Linux 5.14), or one by
  /// one (version 1, pidfd_open of Linux 5.3), so that one may fork meanwhile: call it again while
  /// is_populated(). False: there is no such group or file.
  [[nodiscard]] bool kill() const;
  /// Whether a process is in it, or (version 2) in a group below it.
  [[nodiscard]] bool is_populated() const;
  /// Waits until nobody is in it (a process that has ended leaves it a moment after the kernel has
  /// told everybody else) and removes it.
  void remove_when_empty() const;
  /// Removes it if nobody is in it. False: somebody is, or there are groups below it. Touches no
  /// process.
  [[nodiscard]] bool remove_if_empty() const;
  /// The same if nobody who made it lives either.
  void remove_if_dead() const;
  /// Where groups are made: this process's own. Empty: nowhere. After choose_name().
  [[nodiscard]] std::string parent() const;
  /// The group of another name there. After choose_name().
  [[nodiscard]] BuildGroup sibling(const std::string& unique) const;

 private:
  std::string folder_;
  int fd_ = -1;
  int version_ = 2;
};

}  // namespace tokenpool::proc
