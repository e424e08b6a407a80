#include <algorithm>
#include <charconv>
#include <ctime>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proc/pid_view.h"
#include "proc/process.h"

namespace tokenpool::proc {
namespace {

/// Ours first, then one for each namespace below; empty: it is gone.
std::vector<pid_t> numbers_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  std::vector<pid_t> numbers;
  for (std::string line; numbers.empty() && std::getline(file, line);) {
    if (!line.starts_with("NSpid:")) continue;
    const char* const end = line.data() + line.size();
    for (const char* at = line.data(); at < end; ++at) {
      pid_t number = 0;
      const auto [next, error] = std::from_chars(at, end, number);
      if (error != std::errc()) continue;
      numbers.push_back(number);
      at = next - 1;
    }
  }
  return numbers;
}

/// The number of the namespace that is `levels` above that of `pid`; 0: it cannot be told.
std::uint64_t namespace_above(pid_t pid, std::size_t levels) {
  if (levels == 0) return pid_namespace(pid);
  int fd = ::open(("/proc/" + std::to_string(pid) + "/ns/pid").c_str(), O_RDONLY | O_CLOEXEC);
  for (; fd >= 0 && levels > 0; --levels) {
    const int parent = ::ioctl(fd, NS_GET_PARENT);
    ::close(fd);
    fd = parent;
  }
  if (fd < 0) return 0;
  struct stat info{};
  const bool known = ::fstat(fd, &info) == 0;
  ::close(fd);
  return known ? info.st_ino : 0;
}

/// The number of `pid` in the namespace `id`, which is `depth` below ours; 0: it has none there.
pid_t number_in(pid_t pid, std::uint64_t id, std::size_t depth) {
  const auto numbers = numbers_of(pid);
  if (numbers.size() <= depth) return 0;
  return namespace_above(pid, numbers.size() - 1 - depth) == id ? numbers[depth] : 0;
}

}  // namespace

PidView::PidView(pid_t viewer) {
  const std::uint64_t theirs = viewer > 0 ? pid_namespace(viewer) : 0;
  if (theirs == 0 || theirs == pid_namespace(::getpid())) return;
  const auto numbers = numbers_of(viewer);
  if (numbers.size() < 2) return;
  depth_ = numbers.size() - 1;
  namespace_ = theirs;
}

pid_t PidView::of(pid_t pid) const {
  return depth_ == 0 || pid <= 0 ? pid : number_in(pid, namespace_, depth_);
}

std::unordered_map<pid_t, pid_t> own_pids_of(pid_t member) {
  std::unordered_map<pid_t, pid_t> own;
  const std::uint64_t theirs = member > 0 ? pid_namespace(member) : 0;
  const auto numbers = numbers_of(member);
  if (theirs == 0 || theirs == pid_namespace(::getpid()) || numbers.size() < 2) return own;
  for (const pid_t pid : all_processes()) {
    if (const pid_t number = number_in(pid, theirs, numbers.size() - 1); number != 0) {
      own.emplace(number, pid);
    }
  }
  return own;
}

std::int64_t age_ms(std::uint64_t start) {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  const std::int64_t ticks = std::max(::sysconf(_SC_CLK_TCK), 1L);
  const auto started = static_cast<std::int64_t>(start) * 1000 / ticks;
  return std::max<std::int64_t>(
      0, now.tv_sec * std::int64_t{1000} + now.tv_nsec / 1'000'000 - started);
}

}  // namespace tokenpool::proc
