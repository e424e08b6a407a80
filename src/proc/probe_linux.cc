#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proc/cgroup_paths.h"
#include "proc/pidfd_info.h"
#include "proc/probe.h"
#include "proc/process_files.h"

namespace tokenpool::proc {
namespace {

// Newer than the headers of the oldest system that we build on: include/uapi/linux/seccomp.h of
// Linux 6.15.
constexpr unsigned long kNotifSetFlags = _IOW('!', 4, std::uint64_t);
constexpr unsigned long kNotifSyncWakeUp = 1U << 0;
constexpr int kCapSysAdmin = 21;
/// The first user namespace has this inode number in every kernel (PROC_USER_INIT_INO).
constexpr ino_t kFirstUserNamespace = 0xEFFFFFFDU;

class Fd {
 public:
  explicit Fd(long fd) : fd_(static_cast<int>(fd)), error_(fd < 0 ? errno : 0) {}
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] Trial trial() const { return {error_}; }

 private:
  int fd_;
  int error_;
};

Trial trial_of(long answer) { return {answer < 0 ? errno : 0}; }

void reap(pid_t pid) {
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

struct ListenerTrials {
  Trial listener{ENOSYS};
  Trial sync_wake_up{ENOSYS};
};

/// Only system calls: this runs between fork and _exit.
ListenerTrials try_listener(bool no_new_privs) {
  ListenerTrials trials;
  seccomp_notif_sizes sizes{};
  if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0) return {{errno}, {errno}};
  if (no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return {{errno}, {errno}};
  sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  const sock_fprog program{1, &allow};
  const Fd listener(
      syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program));
  trials.listener = listener.trial();
  trials.sync_wake_up = trials.listener;
  if (listener.get() >= 0) {
    trials.sync_wake_up = trial_of(ioctl(listener.get(), kNotifSetFlags, kNotifSyncWakeUp));
  }
  return trials;
}

/// In a child, because a filter can never be taken off again.
ListenerTrials probe_listener(bool no_new_privs) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) < 0) return {{errno}, {errno}};
  const pid_t child = fork();
  if (child == 0) {
    const ListenerTrials trials = try_listener(no_new_privs);
    _exit(write(ends[1], &trials, sizeof trials) == sizeof trials ? 0 : 1);
  }
  const int fork_error = child < 0 ? errno : 0;
  close(ends[1]);
  const Fd answer(ends[0]);
  ListenerTrials trials;
  if (fork_error != 0) return {{fork_error}, {fork_error}};
  // Killed by a sandbox that allows no seccomp(2): that is a no as well.
  if (read(answer.get(), &trials, sizeof trials) != sizeof trials) trials = {{EPERM}, {EPERM}};
  reap(child);
  return trials;
}

/// Where the arbiter may not write because it is no ancestor of the build's processes (Yama's scope
/// 1), the front does, which is one: so this process writes into its child.
Trial probe_memory_write() {
  char target = 'a';
  const pid_t victim = fork();
  if (victim < 0) return {errno};
  if (victim == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) pause();
  }
  char source = 'b';
  const iovec from{&source, 1};
  const iovec to{&target, 1};
  const Trial trial = trial_of(process_vm_writev(victim, &from, 1, &to, 1, 0) == 1 ? 0 : -1);
  kill(victim, SIGKILL);
  reap(victim);
  return trial;
}

struct PidfdTrials {
  Trial open;
  Trial exit;
};

// A child that does nothing but end needs no memory of its own: for vfork(2) nothing is copied.
PidfdTrials probe_pidfd() {
  constexpr int kStatus = 7;
  const pid_t child = vfork();  // NOLINT(*-unsafe-functions): it only ends
  if (child == 0) _exit(kStatus);
  if (child < 0) return {{errno}, {errno}};
  const Fd fd(syscall(SYS_pidfd_open, child, 0));
  reap(child);
  PidfdTrials trials{fd.trial(), fd.trial()};
  if (fd.get() < 0) return trials;
  PidfdInfo info{};
  info.mask = kPidfdInfoExit;
  trials.exit = trial_of(ioctl(fd.get(), kPidfdGetInfo, &info));
  // Linux 6.13 and 6.14 know the call but not this part of the answer.
  if (trials.exit.works() && (info.mask & kPidfdInfoExit) == 0) trials.exit = {ENODATA};
  if (trials.exit.works() && WEXITSTATUS(info.exit_code) != kStatus) trials.exit = {EBADMSG};
  return trials;
}

void probe_cgroup(Probe* probe) {
  probe->sub_cgroup = {ENOENT};
  bool v1 = false;
  std::ifstream own("/proc/self/cgroup");
  for (std::string line; std::getline(own, line);) v1 = v1 || !line.starts_with("0:");
  bool v2 = false;
  for (const CgroupPath& path : cgroup_paths("", "cpuacct")) {
    probe->cgroup_folder = path.folder;
    v2 = path.version == 2;
  }
  probe->cgroup = v1 && v2 ? CgroupLayout::hybrid
                  : v1     ? CgroupLayout::v1
                  : v2     ? CgroupLayout::v2
                           : CgroupLayout::none;
  if (probe->cgroup_folder.empty()) return;
  const std::string folder = probe->cgroup_folder + "/tokenpool-probe-" + std::to_string(getpid());
  probe->sub_cgroup = trial_of(mkdir(folder.c_str(), 0700));
  if (!probe->sub_cgroup.works()) return;
  probe->cgroup_kill = access((folder + "/cgroup.kill").c_str(), W_OK) == 0;
  rmdir(folder.c_str());
}

bool has_sys_admin() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("CapEff:")) continue;
    return ((std::strtoull(line.c_str() + 7, nullptr, 16) >> kCapSysAdmin) & 1U) != 0;
  }
  return false;
}

/// The conventions of the usual container programs; there is no certain sign.
std::string container_sign() {
  for (const char* file : {"/.dockerenv", "/run/.containerenv"}) {
    if (access(file, F_OK) == 0) return file;
  }
  if (std::ifstream name("/run/systemd/container"); name) {
    std::string word;
    if (name >> word) return word;
  }
  if (const char* name = std::getenv("container"); name != nullptr && *name != '\0') return name;
  std::ifstream cgroup("/proc/1/cgroup");
  const std::string text{std::istreambuf_iterator<char>(cgroup), std::istreambuf_iterator<char>()};
  for (const char* word : {"docker", "kubepods", "lxc", "libpod"}) {
    if (text.find(word) != std::string::npos) return word;
  }
  return {};
}

Trial probe_pressure() {
  const Fd file(open("/proc/pressure/cpu", O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return file.trial();
  char first = 0;
  return trial_of(read(file.get(), &first, 1));  // booted with psi=0: only the read fails
}

void probe_user(Probe* probe) {
  probe->uid = geteuid();
  probe->sys_admin = has_sys_admin();
  probe->no_new_privs = !probe->sys_admin;
  struct stat space{};
  probe->user_namespace =
      stat("/proc/self/ns/user", &space) == 0 && space.st_ino != kFirstUserNamespace;
  probe->container = container_sign();
  if (std::ifstream scope("/proc/sys/kernel/yama/ptrace_scope"); scope) {
    int value = 0;
    if (scope >> value) probe->ptrace_scope = value;
  }
}

}  // namespace

// What answers with how a process dumped its core (Linux 6.16), also of one that lives, knows how
// it ended (6.15), too. Else a child has to end for it.
Trial try_pidfd_exit() {
  const Fd own(syscall(SYS_pidfd_open, getpid(), 0));
  PidfdInfo info{};
  info.mask = kPidfdInfoExit | kPidfdInfoCoreDump;
  const bool knows = own.get() >= 0 && ioctl(own.get(), kPidfdGetInfo, &info) == 0 &&
                     (info.mask & kPidfdInfoCoreDump) != 0;
  return knows ? Trial{} : probe_pidfd().exit;
}

Probe probe() {
  Probe probe;
  utsname names{};
  if (uname(&names) == 0) probe.kernel = names.release;
  probe.processes = ProcessFiles::are_readable();
  probe_user(&probe);
  const ListenerTrials listener = probe_listener(probe.no_new_privs);
  probe.listener = listener.listener;
  probe.sync_wake_up = listener.sync_wake_up;
  probe.memory_write = probe_memory_write();
  const PidfdTrials pidfd = probe_pidfd();
  probe.pidfd = pidfd.open;
  probe.pidfd_exit = pidfd.exit;
  probe_cgroup(&probe);
  probe.pressure = probe_pressure();
  // Without the capability the group can be made as well, but its events name no pid.
  probe.fanotify_pids =
      Fd(fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_FID | FAN_CLOEXEC, O_RDONLY)).trial();
  if (probe.fanotify_pids.works() && !probe.sys_admin) probe.fanotify_pids = {EPERM};
  probe.inotify = Fd(inotify_init1(IN_CLOEXEC)).trial();
  return probe;
}

}  // namespace tokenpool::proc
