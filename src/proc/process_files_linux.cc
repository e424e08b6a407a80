#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proc/process.h"
#include "proc/process_files.h"

namespace tokenpool::proc {
namespace {

/// A stat line has some 300 bytes: 52 numbers and a name of 64 bytes at the most.
constexpr std::size_t kLineBytes = 1536;

using Path = std::array<char, 64>;

// Numbers behind the state, whose field is the third of proc(5).
enum Field : std::size_t {
  kParent = 0,
  kUser = 10,
  kSystem = 11,
  kReapedUser = 12,
  kReapedSystem = 13,
  kThreads = 16,
  kStart = 18,
  kResident = 20,
  kFields = 21,
};

bool parse_numbers(const char* at, const char* end, std::array<std::int64_t, kFields>* numbers) {
  for (std::int64_t& number : *numbers) {
    while (at != end && *at == ' ') ++at;
    const auto [next, error] = std::from_chars(at, end, number);
    if (error != std::errc{}) return false;
    at = next;
  }
  return true;
}

ssize_t read_once(int at, const char* path, std::string* text) {
  const int fd = ::openat(at, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  const ssize_t n = ::read(fd, text->data(), text->size());
  ::close(fd);
  return n;
}

}  // namespace

std::optional<ProcessStat> parse_stat(pid_t pid, const std::string& line) {
  const std::size_t open = line.find('(');
  const std::size_t close = line.rfind(')');
  if (open == std::string::npos || close == std::string::npos || close < open ||
      close + 3 >= line.size()) {
    return std::nullopt;
  }
  std::array<std::int64_t, kFields> numbers{};
  if (!parse_numbers(line.data() + close + 3, line.data() + line.size(), &numbers)) {
    return std::nullopt;
  }
  const auto unsigned_at = [&](Field field) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(numbers[field], 0));
  };
  ProcessStat stat;
  stat.id = {pid, unsigned_at(kStart)};
  stat.parent = static_cast<pid_t>(numbers[kParent]);
  stat.state = line[close + 2];
  stat.name = line.substr(open + 1, close - open - 1);
  stat.threads = static_cast<int>(numbers[kThreads]);
  stat.ticks = unsigned_at(kUser) + unsigned_at(kSystem);
  stat.reaped_ticks = unsigned_at(kReapedUser) + unsigned_at(kReapedSystem);
  stat.resident_pages = unsigned_at(kResident);
  return stat;
}

ProcessFiles::ProcessFiles(std::size_t most_open) : most_open_(most_open), text_(kLineBytes, '\0') {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
    most_open_ = std::min<std::size_t>(most_open_, limit.rlim_cur / 8);
  }
}

ProcessFiles::~ProcessFiles() {
  for (const auto& [pid, fd] : open_) ::close(fd);
  if (folder_ != nullptr) ::closedir(static_cast<DIR*>(folder_));
}

bool ProcessFiles::are_readable() {
  std::array<char, 32> self{};
  const ssize_t n = ::readlink("/proc/self", self.data(), self.size() - 1);
  return n > 0 && std::atoi(self.data()) == ::getpid();
}

std::vector<std::pair<pid_t, std::uint64_t>> ProcessFiles::list() {
  std::vector<std::pair<pid_t, std::uint64_t>> found;
  if (folder_ == nullptr) folder_ = ::opendir("/proc");
  if (folder_ == nullptr) return found;
  auto* const folder = static_cast<DIR*>(folder_);
  ::rewinddir(folder);
  while (const dirent* entry = ::readdir(folder)) {
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
    found.emplace_back(std::atoi(entry->d_name), entry->d_ino);
  }
  if (!is_to_spare(::dirfd(folder))) {
    ::closedir(folder);
    folder_ = nullptr;
  }
  return found;
}

std::optional<ProcessStat> ProcessFiles::read(pid_t pid, bool keep) {
  ssize_t n = -1;
  const auto known = open_.find(pid);
  if (known != open_.end()) {
    n = ::pread(known->second, text_.data(), text_.size(), 0);
    if (n <= 0) close(pid);  // its process is gone; the pid may have another owner
  }
  if (n <= 0) {
    Path path{};
    std::snprintf(path.data(), path.size(), "/proc/%d/stat", pid);
    const int fd = ::open(path.data(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return std::nullopt;
    n = ::read(fd, text_.data(), text_.size());
    if (n > 0 && keep && open_.size() < most_open_ && is_to_spare(fd)) {
      open_.emplace(pid, fd);
    } else {
      ::close(fd);
    }
  }
  if (n <= 0) return std::nullopt;
  text_.resize(static_cast<std::size_t>(n));
  auto stat = parse_stat(pid, text_);
  text_.resize(kLineBytes);
  return stat;
}

std::optional<std::uint64_t> ProcessFiles::read_waited(const char* path) {
  const ssize_t n = read_once(AT_FDCWD, path, &text_);
  if (n <= 0) return std::nullopt;
  const std::string_view line(text_.data(), static_cast<std::size_t>(n));
  const std::size_t blank = line.find(' ');  // behind the time that it ran
  std::uint64_t waited = 0;
  if (blank == std::string_view::npos) return std::nullopt;
  const auto* end = line.data() + line.size();
  if (std::from_chars(line.data() + blank + 1, end, waited).ec != std::errc{}) return std::nullopt;
  return waited;
}

std::optional<std::uint64_t> ProcessFiles::waited_ns(pid_t pid, int threads, int most_threads) {
  Path path{};
  if (threads <= 1) {
    std::snprintf(path.data(), path.size(), "/proc/%d/schedstat", pid);
    return read_waited(path.data());
  }
  std::snprintf(path.data(), path.size(), "/proc/%d/task", pid);
  DIR* tasks = ::opendir(path.data());
  if (tasks == nullptr) return std::nullopt;
  std::optional<std::uint64_t> sum;
  while (const dirent* entry = ::readdir(tasks)) {
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
    if (most_threads-- <= 0) break;
    std::snprintf(path.data(), path.size(), "/proc/%d/task/%d/schedstat", pid,
                  std::atoi(entry->d_name));
    if (const auto waited = read_waited(path.data())) sum = sum.value_or(0) + *waited;
  }
  ::closedir(tasks);
  return sum;
}

void ProcessFiles::close(pid_t pid) {
  const auto known = open_.find(pid);
  if (known == open_.end()) return;
  ::close(known->second);
  open_.erase(known);
}

}  // namespace tokenpool::proc
