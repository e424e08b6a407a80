#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

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

template <typename Event>
Event event_at(std::string_view events, std::size_t at) {
  Event event{};
  std::memcpy(&event, events.data() + at, sizeof event);
  return event;
}

bool add_named(std::string_view events, pid_t self, FifoTouches* touches) {
  using Event = fanotify_event_metadata;
  bool any = false;
  for (std::size_t at = 0; at + sizeof(Event) <= events.size();) {
    const auto event = event_at<Event>(events, at);
    if (event.event_len < sizeof event) break;
    at += event.event_len;
    if (event.pid <= 0 || event.pid == self) continue;
    if ((event.mask & FAN_ACCESS) != 0) add(event.pid, &touches->readers);
    if ((event.mask & FAN_MODIFY) != 0) add(event.pid, &touches->writers);
    if ((event.mask & FAN_OPEN) != 0) {
      add(event.pid, &touches->opened);
      ++touches->opens;
    }
    any = true;
  }
  touches->reads = static_cast<int>(touches->readers.size());
  touches->writes = static_cast<int>(touches->writers.size());
  return any;
}

// The kernel reports an event that is as the one before it only once (inotify(7)).
bool add_nameless(std::string_view events, FifoTouches* touches) {
  for (std::size_t at = 0; at + sizeof(inotify_event) <= events.size();) {
    const auto event = event_at<inotify_event>(events, at);
    at += sizeof event + event.len;
    touches->reads += (event.mask & IN_ACCESS) != 0 ? 1 : 0;
    touches->writes += (event.mask & IN_MODIFY) != 0 ? 1 : 0;
    touches->opens += (event.mask & IN_OPEN) != 0 ? 1 : 0;
  }
  return !events.empty();
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
  if (fd_ >= 0 && ::inotify_add_watch(fd_, path.c_str(), IN_OPEN | IN_ACCESS | IN_MODIFY) < 0) {
    ::close(fd_);
    fd_ = -1;
  }
}

FifoWatch::~FifoWatch() {
  if (fd_ >= 0) ::close(fd_);
}

bool FifoWatch::collect(FifoTouches* touches) const {
  bool any = false;
  alignas(fanotify_event_metadata) std::array<char, 8192> buffer{};
  ssize_t n = 0;
  while (fd_ >= 0 && (n = ::read(fd_, buffer.data(), buffer.size())) > 0) {
    const std::string_view events(buffer.data(), static_cast<std::size_t>(n));
    any = (names_ ? add_named(events, self_, touches) : add_nameless(events, touches)) || any;
    if (n < static_cast<ssize_t>(buffer.size() / 2)) break;
  }
  std::erase_if(touches->opened, [&](pid_t pid) {
    return contains(touches->readers, pid) || contains(touches->writers, pid);
  });
  return any;
}

}  // namespace tokenpool::jobserver
