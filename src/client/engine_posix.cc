#include <algorithm>
#include <chrono>
#include <climits>
#include <utility>

#include <poll.h>
#include <unistd.h>

#include "client/engine.h"

namespace tokenpool::client {

Engine::Engine(Why why) : why_(std::move(why)), owner_(getpid()) {}

bool Engine::foreign() const { return getpid() != owner_; }

Instant Engine::now() { return std::chrono::steady_clock::now().time_since_epoch(); }

bool Engine::wait(std::optional<Instant> until) const {
  std::optional<Instant> end = deadline();
  if (until) end = std::min(end.value_or(*until), *until);
  if (fd() < 0 && !end) return false;
  sleep(fd(), events(), end);
  return true;
}

void Engine::sleep(int fd, short events, std::optional<Instant> until) {
  pollfd what{.fd = fd, .events = events, .revents = 0};
  int timeout = -1;
  if (until) {
    // Rounded up: what is due a moment later would be polled for without end.
    const auto left = std::chrono::ceil<Milliseconds>(std::max(*until - now(), Instant(0)));
    timeout = static_cast<int>(std::min<Milliseconds::rep>(left.count(), INT_MAX));
  }
  poll(&what, fd < 0 ? 0 : 1, timeout);
}

}  // namespace tokenpool::client
