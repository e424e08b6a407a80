#include <algorithm>
#include <array>
#include <cstring>

#include <fcntl.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "jobserver/fifo_watch.h"

namespace tokenpool::jobserver {
namespace {

bool contains(const std::vector<pid_t>& pids, pid_t pid) {
  return std::find(pids.begin(), pids.end(), pid) != pids.end();
}

void add(pid_t pid, std::vector<pid_t>* pids) {
  if (!contains(*pids, pid)) pids->push_back(pid);
}

}  // namespace

FifoWatch::FifoWatch(const std::string& path) : self_(::getpid()) {
  fd_ = ::fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK | FAN_REPORT_FID, O_RDONLY);
  if (fd_ >= 0) {
    names_ =
        ::geteuid() == 0 && ::fanotify_mark(fd_, FAN_MARK_ADD, FAN_OPEN | FAN_ACCESS | FAN_MODIFY,
                                            AT_FDCWD, path.c_str()) == 0;
    if (names_) return;
    ::close(fd_);
  }
  fd_ = ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (fd_ >= 0 && ::inotify_add_watch(fd_, path.c_str(), IN_ACCESS | IN_MODIFY) < 0) {
    ::close(fd_);
    fd_ = -1;
  }
}

FifoWatch::~FifoWatch() {
  if (fd_ >= 0) ::close(fd_);
}

FifoTouches FifoWatch::collect() const {
  FifoTouches touches;
  if (fd_ < 0) return touches;
  alignas(fanotify_event_metadata) std::array<char, 8192> buffer{};
  ssize_t n = 0;
  while ((n = ::read(fd_, buffer.data(), buffer.size())) > 0) {
    if (!names_) {
      if (n < static_cast<ssize_t>(buffer.size() / 2)) break;
      continue;
    }
    for (ssize_t at = 0; at + static_cast<ssize_t>(sizeof(fanotify_event_metadata)) <= n;) {
      fanotify_event_metadata event{};
      std::memcpy(&event, buffer.data() + at, sizeof event);
      if (event.event_len < sizeof event) break;
      at += event.event_len;
      if (event.pid <= 0 || event.pid == self_) continue;
      const bool accessed = (event.mask & (FAN_ACCESS | FAN_MODIFY)) != 0;
      add(event.pid, accessed ? &touches.accessed : &touches.opened);
    }
    if (n < static_cast<ssize_t>(buffer.size() / 2)) break;
  }
  std::erase_if(touches.opened, [&](pid_t pid) { return contains(touches.accessed, pid); });
  return touches;
}

}  // namespace tokenpool::jobserver
