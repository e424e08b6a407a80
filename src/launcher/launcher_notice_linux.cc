#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <unistd.h>

#include "launcher/launcher_notice.h"
#include "proc/process.h"

namespace tokenpool::launcher {
namespace {

constexpr std::array<std::string_view, 6> kShells{"sh", "bash", "dash", "ash", "ksh", "zsh"};
constexpr std::array<std::string_view, 5> kCollectors{"ninja", "ninja-build", "samu", "ctest",
                                                      "parallel"};
// More than any tool puts between itself and a job.
constexpr int kMaxShells = 4;

template <std::size_t count>
bool is_one_of(const std::array<std::string_view, count>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Files of /proc have no size to go by.
std::string read_proc(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  std::string text(1024, '\0');
  const ssize_t got = fd < 0 ? 0 : ::read(fd, text.data(), text.size());
  if (fd >= 0) ::close(fd);
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  return text;
}

/// Page faults of the children that `pid` has waited for (field 11 of proc(5)'s stat): 0 only while
/// there was none, since a process that has ended had some.
bool has_waited_for_a_child(pid_t pid) {
  const std::string text = read_proc("/proc/" + std::to_string(pid) + "/stat");
  std::size_t at = text.rfind(')');
  for (int field = 2; field < 11 && at != std::string::npos; ++field) at = text.find(' ', at + 1);
  return at == std::string::npos || text.compare(at, 3, " 0 ") != 0;
}

/// Oldest first, ended ones that nobody has waited for as well.
bool is_first_child(pid_t child, pid_t parent) {
  const std::string number = std::to_string(parent);
  const std::string text = read_proc("/proc/" + number + "/task/" + number + "/children");
  return std::strtol(text.c_str(), nullptr, 10) == child;
}

bool is_one_of_many() {
  pid_t child = ::getpid();
  pid_t parent = ::getppid();
  for (int i = 0; i < kMaxShells; ++i) {
    const auto process = proc::read_process(parent);
    if (!process) return false;
    if (is_one_of(kCollectors, process->name)) {
      return has_waited_for_a_child(parent) || !is_first_child(child, parent);
    }
    if (!is_one_of(kShells, process->name)) return false;
    child = parent;
    parent = process->parent;
  }
  return false;
}

}  // namespace

bool is_first_to_tell(int fd) {
  if (::fcntl(fd, F_GETFD) < 0 || is_one_of_many()) return false;
  // Two that look at the same moment: the one that cannot have the lock leaves it to the other.
  struct flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (::fcntl(fd, F_SETLK, &lock) != 0 && (errno == EAGAIN || errno == EACCES)) return false;
  const bool first = ::fcntl(fd, F_GETSIG) == 0;
  if (first) ::fcntl(fd, F_SETSIG, SIGIO);
  lock.l_type = F_UNLCK;
  ::fcntl(fd, F_SETLK, &lock);
  return first;
}

}  // namespace tokenpool::launcher
