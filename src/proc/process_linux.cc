#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/limits.h"
#include "proc/pidfd_info.h"
#include "proc/process.h"

namespace tokenpool::proc {
namespace {

struct ProcPath {
  std::array<char, 64> text{};
  template <typename... Args>
  explicit ProcPath(const char* format, Args... args) {
    std::snprintf(text.data(), text.size(), format, args...);
  }
  [[nodiscard]] const char* c_str() const { return text.data(); }
};

bool leads_to(const ProcPath& path, const FileId& file) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 && FileId{status.st_dev, status.st_ino} == file;
}

// Reads at most `size` bytes; -1 when the file cannot be opened or read.
ssize_t read_file(const char* path, char* buffer, std::size_t size) {
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t total = 0;
  while (static_cast<std::size_t>(total) < size) {
    const ssize_t n = ::read(fd, buffer + total, size - static_cast<std::size_t>(total));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && total == 0) total = -1;
    if (n <= 0) break;
    total += n;
  }
  ::close(fd);
  return total;
}

template <typename Number>
Number to_number(std::string_view text) {
  Number value{};
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// The blank-separated fields of a stat line behind the command, whose ')' is the last one: index 0
// is field 3 of proc(5), the state.
std::array<std::string_view, 50> stat_fields(std::string_view line) {
  std::array<std::string_view, 50> fields{};
  const auto paren = line.rfind(')');
  if (paren == std::string_view::npos) return fields;
  std::size_t at = paren + 1;
  for (auto& field : fields) {
    at = line.find_first_not_of(" \n", at);
    if (at == std::string_view::npos) break;
    const auto end = std::min(line.find_first_of(" \n", at), line.size());
    field = line.substr(at, end - at);
    at = end;
  }
  return fields;
}

core::EndCause cause_of_status(int status) {
  if (WIFSIGNALED(status)) return core::EndCause::killed;
  return WEXITSTATUS(status) == 0 ? core::EndCause::succeeded : core::EndCause::failed;
}

std::optional<core::EndCause> cause_of_reaped(int pidfd) {
  PidfdInfo info{};
  info.mask = kPidfdInfoExit;
  if (::ioctl(pidfd, kPidfdGetInfo, &info) != 0 || (info.mask & kPidfdInfoExit) == 0) {
    return std::nullopt;
  }
  return cause_of_status(info.exit_code);
}

// The exit code (field 52) reads as 0 for those who may not trace the process; ours may be traced.
std::optional<core::EndCause> cause_of_zombie(pid_t pid) {
  std::array<char, 1024> text{};
  const ssize_t n = read_file(ProcPath("/proc/%d/stat", pid).c_str(), text.data(), text.size());
  if (n <= 0) return std::nullopt;
  const auto fields = stat_fields({text.data(), static_cast<std::size_t>(n)});
  if (fields[0].empty() || !is_ended(fields[0][0]) || fields[49].empty()) return std::nullopt;
  return cause_of_status(to_number<int>(fields[49]));
}

template <typename Visit>
void for_each_number_in(const char* folder, Visit visit) {
  DIR* dir = ::opendir(folder);
  if (dir == nullptr) return;
  while (const dirent* entry = ::readdir(dir)) {
    if (entry->d_name[0] < '0' || entry->d_name[0] > '9') continue;
    if (!visit(to_number<int>(entry->d_name))) break;
  }
  ::closedir(dir);
}

void append_children(pid_t pid, pid_t thread, std::vector<ProcessInfo>* children) {
  std::array<char, 16384> text{};
  const ssize_t n = read_file(ProcPath("/proc/%d/task/%d/children", pid, thread).c_str(),
                              text.data(), text.size());
  std::string_view rest(text.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
  while (!rest.empty()) {
    const auto end = std::min(rest.find(' '), rest.size());
    const auto child = read_process(to_number<pid_t>(rest.substr(0, end)));
    if (child && !is_ended(child->state) && child->parent == pid) children->push_back(*child);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
}

}  // namespace

std::optional<ProcessInfo> read_process(pid_t pid) {
  std::array<char, 1024> text{};
  const ssize_t n = read_file(ProcPath("/proc/%d/stat", pid).c_str(), text.data(), text.size());
  if (n <= 0) return std::nullopt;
  const std::string_view line(text.data(), static_cast<std::size_t>(n));
  const auto fields = stat_fields(line);
  if (fields[19].empty()) return std::nullopt;
  ProcessInfo info;
  info.id = {pid, to_number<std::uint64_t>(fields[19])};
  info.state = fields[0][0];
  info.parent = to_number<pid_t>(fields[1]);
  info.group = to_number<pid_t>(fields[2]);
  info.session = to_number<pid_t>(fields[3]);
  const auto name = line.find('(') + 1;
  info.name = line.substr(name, line.rfind(')') - name);
  return info;
}

bool is_process(pid_t tid) { return ::syscall(SYS_tgkill, tid, tid, 0) == 0 || errno == EPERM; }

pid_t process_of_thread(pid_t tid) {
  std::array<char, 512> text{};
  const ssize_t n = read_file(ProcPath("/proc/%d/status", tid).c_str(), text.data(), text.size());
  if (n <= 0) return 0;
  const std::string_view status(text.data(), static_cast<std::size_t>(n));
  const auto at = status.find("\nTgid:\t");
  if (at == std::string_view::npos) return 0;
  return to_number<pid_t>(status.substr(at + 7));
}

bool is_alive(core::ProcessId id) {
  errno = 0;
  const auto info = read_process(id.pid);
  if (info) return info->id == id && !is_ended(info->state);
  // Not to be looked at for want of something of ours is no end of it.
  const bool unseen = errno == EMFILE || errno == ENFILE || errno == ENOMEM;
  return unseen && (::kill(id.pid, 0) == 0 || errno == EPERM);
}

std::optional<IoCounts> io_counts(pid_t tid) {
  // Seven lines of a name and a number.
  std::array<char, 320> text{};
  const ssize_t n =
      read_file(ProcPath("/proc/%d/task/%d/io", tid, tid).c_str(), text.data(), text.size());
  if (n <= 0) return std::nullopt;
  const std::string_view all(text.data(), static_cast<std::size_t>(n));
  const auto value_of = [all](std::string_view name) {
    const auto at = all.find(name);
    return at == all.npos ? 0 : to_number<std::uint64_t>(all.substr(at + name.size()));
  };
  return IoCounts{.bytes_read = value_of("rchar: "),
                  .reads = value_of("syscr: "),
                  .writes = value_of("syscw: ")};
}

std::string command_of(pid_t pid, std::size_t max_bytes) {
  std::string text(max_bytes, '\0');
  ssize_t n = read_file(ProcPath("/proc/%d/cmdline", pid).c_str(), text.data(), text.size());
  if (n > 0) {
    text.resize(static_cast<std::size_t>(n));
    while (!text.empty() && text.back() == '\0') text.pop_back();
    std::replace_if(
        text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
    return text;
  }
  n = read_file(ProcPath("/proc/%d/comm", pid).c_str(), text.data(), text.size());
  if (n <= 0) return {};
  text.resize(static_cast<std::size_t>(n));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return "[" + text + "]";
}

std::vector<core::ProcessId> ancestors_below(const ProcessInfo& process, pid_t root,
                                             const Remembered& remembered) {
  std::vector<core::ProcessId> ancestors;
  ProcessInfo child = process;
  while (child.parent != root) {
    if (child.parent <= 0) return {};
    auto parent = read_process(child.parent);
    if (!parent && remembered) parent = remembered(child.parent);
    if (parent) {
      if (ancestors.size() < core::kMaxAncestors) ancestors.push_back(parent->id);
      child = *parent;
      continue;
    }
    const auto again = read_process(child.id.pid);
    if (!again || again->id != child.id || again->parent == child.parent) return {};
    child.parent = again->parent;
  }
  return ancestors;
}

std::vector<ProcessInfo> children_of(pid_t pid) {
  std::vector<ProcessInfo> children;
  for_each_number_in(ProcPath("/proc/%d/task", pid).c_str(), [&](pid_t thread) {
    append_children(pid, thread, &children);
    return true;
  });
  return children;
}

std::vector<ProcessInfo> descendants_of(pid_t pid) {
  std::vector<ProcessInfo> found = children_of(pid);
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto children = children_of(found[i].id.pid);
    found.insert(found.end(), children.begin(), children.end());
  }
  return found;
}

std::vector<pid_t> all_processes() {
  std::vector<pid_t> pids;
  for_each_number_in("/proc", [&](pid_t pid) {
    pids.push_back(pid);
    return true;
  });
  return pids;
}

bool descriptor_is(pid_t pid, int fd, const FileId& file) {
  return leads_to(ProcPath("/proc/%d/fd/%d", pid, fd), file);
}

bool runs_program(pid_t pid, const FileId& file) {
  return leads_to(ProcPath("/proc/%d/exe", pid), file);
}

FileId own_program() {
  struct stat status{};
  if (::stat("/proc/self/exe", &status) != 0) return {};
  return {status.st_dev, status.st_ino};
}

std::uint64_t pid_namespace(pid_t pid) {
  struct stat space{};
  return ::stat(ProcPath("/proc/%d/ns/pid", pid).c_str(), &space) == 0 ? space.st_ino : 0;
}

namespace {

/// The descriptor on which `tid` is in the system call `number`, -1: in none such. Nothing: it may
/// not be looked at (ptrace(2), /proc/sys/kernel/yama/ptrace_scope).
std::optional<int> descriptor_of_call(pid_t tid, long number) {
  std::array<char, 256> text{};
  const ssize_t n = read_file(ProcPath("/proc/%d/syscall", tid).c_str(), text.data(), text.size());
  if (n <= 0) return std::nullopt;
  const auto call = std::to_string(number) + " 0x";
  const std::string_view line(text.data(), static_cast<std::size_t>(n));
  if (!line.starts_with(call)) return -1;
  unsigned fd = 0;
  std::from_chars(line.data() + call.size(), line.data() + line.size(), fd, 16);
  return static_cast<int>(fd);
}

/// It waits in the kernel's read of some pipe ("pipe_read", "anon_pipe_read", "pipe_wait").
bool waits_for_a_pipe(pid_t tid) {
  std::array<char, 64> text{};
  const ssize_t n = read_file(ProcPath("/proc/%d/wchan", tid).c_str(), text.data(), text.size());
  const std::string_view place(text.data(), static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
  return place.ends_with("pipe_read") || place == "pipe_wait";
}

bool has_open(pid_t pid, const FileId& file) {
  bool has = false;
  for_each_number_in(ProcPath("/proc/%d/fd", pid).c_str(), [&](int fd) {
    has = descriptor_is(pid, fd, file);
    return !has;
  });
  return has;
}

}  // namespace

bool is_writing(pid_t tid, int fd) { return descriptor_of_call(tid, __NR_write) == fd; }

bool waits_to_read(pid_t pid, const FileId& file) {
  bool waits = false;
  for_each_number_in(ProcPath("/proc/%d/task", pid).c_str(), [&](int tid) {
    const auto fd = descriptor_of_call(tid, __NR_read);
    waits = fd ? *fd >= 0 && descriptor_is(tid, *fd, file)
               : waits_for_a_pipe(tid) && has_open(pid, file);
    return !waits;
  });
  return waits;
}

bool has_descriptor(pid_t pid, int fd) {
  // The link itself: what it leads to may be gone.
  struct stat status{};
  return ::lstat(ProcPath("/proc/%d/fd/%d", pid, fd).c_str(), &status) == 0;
}

namespace {

unsigned long descriptor_flags(pid_t pid, int fd) {
  // Just enough for "pos:\t", 20 digits, "\nflags:\t" and 8 digits: full after one read.
  std::array<char, 42> text{};
  const ssize_t n =
      read_file(ProcPath("/proc/%d/fdinfo/%d", pid, fd).c_str(), text.data(), text.size() - 1);
  if (n <= 0) return 0;
  const char* flags = std::strstr(text.data(), "flags:\t");
  return flags == nullptr ? 0 : std::strtoul(flags + 7, nullptr, 8);
}

}  // namespace

bool descriptor_is_nonblocking(pid_t pid, int fd) {
  return (descriptor_flags(pid, fd) & O_NONBLOCK) != 0;
}

bool uses_file(pid_t pid, const FileId& file, const std::array<int, 2>& usual) {
  bool uses = false;
  for_each_number_in(ProcPath("/proc/%d/fd", pid).c_str(), [&](int fd) {
    if (!descriptor_is(pid, fd, file)) return true;
    const bool is_usual = std::find(usual.begin(), usual.end(), fd) != usual.end();
    uses = !is_usual || (descriptor_flags(pid, fd) & O_CLOEXEC) != 0;
    return !uses;
  });
  return uses;
}

std::vector<Opener> processes_with_open(const FileId& file, const std::array<int, 2>& usual) {
  std::vector<Opener> openers;
  for (const pid_t pid : all_processes()) {
    Opener opener;
    for_each_number_in(ProcPath("/proc/%d/fd", pid).c_str(), [&](int fd) {
      if (!descriptor_is(pid, fd, file)) return true;
      opener.pid = pid;
      opener.under_other_number = std::find(usual.begin(), usual.end(), fd) == usual.end();
      return !opener.under_other_number;
    });
    if (opener.pid != 0) openers.push_back(opener);
  }
  return openers;
}

std::vector<std::string> open_files(pid_t pid) {
  std::vector<std::string> files;
  for_each_number_in(ProcPath("/proc/%d/fd", pid).c_str(), [&](int fd) {
    std::array<char, 4096> target{};
    const ssize_t n =
        ::readlink(ProcPath("/proc/%d/fd/%d", pid, fd).c_str(), target.data(), target.size());
    if (n > 0) files.emplace_back(target.data(), static_cast<std::size_t>(n));
    return files.size() < kMaxOpenFiles;
  });
  return files;
}

bool environment_has(pid_t pid, const std::string& assignment) {
  std::string text(1 << 18, '\0');
  const ssize_t n =
      read_file(ProcPath("/proc/%d/environ", pid).c_str(), text.data(), text.size() - 1);
  if (n <= 0) return false;
  text.resize(static_cast<std::size_t>(n));
  text.insert(text.begin(), '\0');
  text.push_back('\0');
  std::string needle(1, '\0');
  needle += assignment;
  needle.push_back('\0');
  return text.find(needle) != std::string::npos;
}

bool has_waiting_signal(pid_t pid) {
  std::array<char, 4096> text{};
  const ssize_t n = read_file(ProcPath("/proc/%d/status", pid).c_str(), text.data(), text.size());
  if (n <= 0) return false;
  const std::string_view lines(text.data(), static_cast<std::size_t>(n));
  const auto mask = [&lines](std::string_view name) {
    const auto at = lines.find(name);
    std::uint64_t value = 0;
    if (at == std::string_view::npos) return value;
    const char* digits = lines.data() + at + name.size();
    std::from_chars(digits, lines.data() + lines.size(), value, 16);
    return value;
  };
  std::uint64_t others = ~mask("\nSigBlk:\t") & ~mask("\nSigIgn:\t");
  for (const int signal : {SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT, SIGCHLD}) {
    others &= ~(std::uint64_t{1} << (signal - 1));
  }
  return ((mask("\nSigPnd:\t") | mask("\nShdPnd:\t")) & others) != 0;
}

int open_pidfd(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

bool is_to_spare(int fd) {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
         static_cast<rlim_t>(fd) + kSpareDescriptors < limit.rlim_cur;
}

core::EndCause end_cause(int pidfd, pid_t pid) {
  // The kernel knows the exit of a process that was reaped, /proc that of one that was not. It may
  // be reaped between the two questions, so the first is asked again.
  if (const auto cause = cause_of_reaped(pidfd)) return *cause;
  if (const auto cause = cause_of_zombie(pid)) return *cause;
  return cause_of_reaped(pidfd).value_or(core::EndCause::unknown);
}

}  // namespace tokenpool::proc
