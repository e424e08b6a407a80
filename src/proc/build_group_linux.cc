#include <array>
#include <cerrno>
#include <string_view>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
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

}  // namespace

void BuildGroup::choose_name(const std::string& unique) {
  for (const auto& path : cgroup_paths("", "cpu")) {
    if (path.version == 2) folder_ = path.folder + "/" + unique;
  }
}

bool BuildGroup::create_with(pid_t pid) {
  if (folder_.empty()) return false;
  if (::mkdir(folder_.c_str(), 0755) == 0 &&
      write_text(folder_ + "/cgroup.procs", std::to_string(pid))) {
    return true;
  }
  ::rmdir(folder_.c_str());
  folder_.clear();
  return false;
}

bool BuildGroup::kill() const {
  return !folder_.empty() && write_text(folder_ + "/cgroup.kill", "1");
}

bool BuildGroup::is_populated() const {
  const int events = folder_.empty() ? -1 : open_events(folder_);
  if (events < 0) return false;
  const bool populated = says_populated(events);
  ::close(events);
  return populated;
}

void BuildGroup::remove_when_empty() const {
  if (folder_.empty()) return;
  const int events = open_events(folder_);
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
