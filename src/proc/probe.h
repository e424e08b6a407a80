// What this machine offers for telling who holds a token, tried out rather than guessed from a
// version.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace tokenpool::proc {

/// One facility that was tried: `error` is 0 when it works, else the errno of what refused.
struct Trial {
  int error = 0;
  [[nodiscard]] bool works() const { return error == 0; }
  friend bool operator==(const Trial&, const Trial&) = default;
};

enum class CgroupLayout : std::uint8_t { none, v1, hybrid, v2 };

struct Probe {
  std::string kernel;     ///< release, as uname -r prints it
  bool processes = true;  ///< /proc is mounted, and tells of this process's pid namespace
  Trial listener;         ///< seccomp_unotify(2): a filter with SECCOMP_FILTER_FLAG_NEW_LISTENER
  bool no_new_privs = false;  ///< the filter needs it here, so sudo inside the build stops working
  Trial sync_wake_up;         ///< SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (Linux 6.6)
  Trial memory_write;         ///< process_vm_writev(2) into a process that we started
  Trial pidfd;                ///< pidfd_open(2) (Linux 5.3)
  Trial pidfd_exit;           ///< PIDFD_GET_INFO tells a reaped process's status (Linux 6.15)
  CgroupLayout cgroup = CgroupLayout::none;
  /// This process's group in the v2 hierarchy; where that is not mounted, in v1's cpuacct; or
  /// empty.
  std::string cgroup_folder;
  Trial sub_cgroup;                 ///< a group can be made in cgroup_folder
  bool cgroup_kill = false;         ///< ... and it has cgroup.kill (Linux 5.14)
  Trial pressure;                   ///< /proc/pressure/cpu can be read (PSI)
  std::optional<int> ptrace_scope;  ///< /proc/sys/kernel/yama/ptrace_scope; none: no Yama
  std::uint32_t uid = 0;            ///< effective
  bool sys_admin = false;           ///< CAP_SYS_ADMIN is effective
  bool user_namespace = false;      ///< not the machine's first user namespace
  std::string
      container;  ///< what says that this is a container ("docker", a file name, ...) or empty
  Trial fanotify_pids;  ///< fanotify(7) in FID mode that names pids: needs CAP_SYS_ADMIN
  Trial inotify;        ///< inotify_init1(2)
  friend bool operator==(const Probe&, const Probe&) = default;
};

/// Whether the kernel tells how a process ended that its parent has reaped (Probe::pidfd_exit).
/// Starts and reaps a child.
Trial try_pidfd_exit();

/// Tries everything out. Starts and reaps a few children and makes and removes one empty cgroup;
/// leaves nothing behind. Never fails: what cannot be tried has the error that prevented it. Call
/// it from a process without threads; SIGCHLD must not be ignored.
Probe probe();

}  // namespace tokenpool::proc
