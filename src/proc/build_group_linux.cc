#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <fstream>
#include <iterator>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proc/build_group.h"
#include "proc/cgroup_paths.h"

namespace tokenpool::proc {
namespace {

bool write_text(const std::string& path, std::string_view text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(fd);
  return written;
}

// The file becomes ready (POLLPRI) whenever what it says has changed since it was read last.
int open_events(const std::string& folder) {
  return ::open((folder + "/cgroup.events").c_str(), O_RDONLY | O_CLOEXEC);
}

bool says_populated(int events) {
  std::array<char, 256> text{};
  const ssize_t n = ::pread(events, text.data(), text.size(), 0);
  return n > 0 && std::string_view(text.data(), static_cast<std::size_t>(n)).find("populated 1") !=
                      std::string_view::npos;
}

int open_folder(const std::string& path) {
  return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

// Version 1 tells nobody when its last process has left.
constexpr std::chrono::milliseconds kPause{5};

std::vector<pid_t> members(const std::string& folder) {
  std::ifstream list(folder + "/cgroup.procs");
  return {std::istream_iterator<pid_t>(list), {}};
}

// A pid may have a new owner since the list was read. Who is in the list after its pidfd was opened
// is the one that the pidfd names, or was that until it ended.
void kill_members(const std::string& folder) {
  std::vector<std::pair<pid_t, int>> opened;
  for (const pid_t pid : members(folder)) {
    const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    if (pidfd >= 0) opened.emplace_back(pid, pidfd);
  }
  const std::vector<pid_t> still = members(folder);
  for (const auto& [pid, pidfd] : opened) {
    if (std::find(still.begin(), still.end(), pid) != still.end()) {
      (void)::syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, nullptr, 0);
    }
    ::close(pidfd);
  }
}

}  // namespace

void BuildGroup::choose_name(const std::string& unique) {
  for (const auto& path : cgroup_paths("", "cpuacct")) {
    folder_ = path.folder + "/" + unique;
    version_ = path.version;
  }
}

std::string BuildGroup::parent() const { return folder_.substr(0, folder_.rfind('/')); }

BuildGroup BuildGroup::sibling(const std::string& unique) const {
  BuildGroup group;
  if (!folder_.empty()) group.folder_ = parent() + "/" + unique;
  group.version_ = version_;
  return group;
}

void BuildGroup::remove_if_dead() const {
  if (folder_.empty()) return;
  const int fd = open_folder(folder_);
  if (fd < 0) return;
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) ::rmdir(folder_.c_str());
  ::close(fd);
}

bool BuildGroup::create() {
  if (folder_.empty()) return false;
  // Whoever finds it before it is locked removes it, once.
  for (int tries = 0; tries < 2; ++tries) {
    if (::mkdir(folder_.c_str(), 0755) != 0) break;
    fd_ = open_folder(folder_);
    if (fd_ < 0) return true;
    (void)::flock(fd_, LOCK_SH);
    if (::access(folder_.c_str(), F_OK) == 0) return true;
    ::close(std::exchange(fd_, -1));
  }
  folder_.clear();
  return false;
}

void BuildGroup::move_in(pid_t pid) {
  if (folder_.empty() || write_text(folder_ + "/cgroup.procs", std::to_string(pid))) return;
  ::rmdir(folder_.c_str());
  folder_.clear();
}

bool BuildGroup::kill() const {
  if (folder_.empty()) return false;
  if (version_ == 2) return write_text(folder_ + "/cgroup.kill", "1");
  if (::access(folder_.c_str(), F_OK) != 0) return false;
  kill_members(folder_);
  return true;
}

bool BuildGroup::is_populated() const {
  if (folder_.empty()) return false;
  if (version_ == 1) return !members(folder_).empty();
  const int events = open_events(folder_);
  if (events < 0) return false;
  const bool populated = says_populated(events);
  ::close(events);
  return populated;
}

void BuildGroup::remove_when_empty() const {
  if (folder_.empty()) return;
  while (version_ == 1 && is_populated()) std::this_thread::sleep_for(kPause);
  const int events = version_ == 2 ? open_events(folder_) : -1;
  while (events >= 0 && says_populated(events)) {
    pollfd changed{events, POLLPRI, 0};
    ::poll(&changed, 1, -1);
  }
  if (events >= 0) ::close(events);
  ::rmdir(folder_.c_str());
}

bool BuildGroup::remove_if_empty() const {
  return folder_.empty() || ::rmdir(folder_.c_str()) == 0 || errno != EBUSY;
}

}  // namespace tokenpool::proc
