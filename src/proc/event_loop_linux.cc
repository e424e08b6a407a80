#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <utility>

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "proc/event_loop.h"

namespace tokenpool::proc {
namespace {

constexpr int kBatch = 64;
constexpr std::int64_t kSecond = 1'000'000'000;

std::uint64_t event_key(int fd, std::uint32_t round) {
  return (std::uint64_t{round} << 32) | static_cast<std::uint32_t>(fd);
}

bool add(int set, int fd, std::uint64_t key) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = key;
  return ::epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0;
}

}  // namespace

EventLoop::EventLoop()
    : set_(::epoll_create1(EPOLL_CLOEXEC)),
      timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)) {
  if (works() && watch(timer_, [this](bool) { on_timer(); })) return;
  if (timer_ >= 0) ::close(std::exchange(timer_, -1));
}

EventLoop::~EventLoop() {
  for (const int fd : {set_, timer_}) {
    if (fd >= 0) ::close(fd);
  }
}

bool EventLoop::watch(int fd, Handler on_ready) {
  const std::uint32_t round = ++rounds_;
  if (!add(set_, fd, event_key(fd, round))) return false;
  watched_[fd] = {round, std::make_shared<const Handler>(std::move(on_ready))};
  return true;
}

void EventLoop::forget(int fd) {
  if (watched_.erase(fd) > 0) ::epoll_ctl(set_, EPOLL_CTL_DEL, fd, nullptr);
}

void EventLoop::set_deadline(std::optional<core::Instant> due, std::function<void()> on_due) {
  on_due_ = std::move(on_due);
  if (due == due_) return;
  due_ = due;
  itimerspec when{};
  // Zero would disarm it.
  const std::int64_t ns = due ? std::max<std::int64_t>(due->count(), 1) : 0;
  when.it_value.tv_sec = ns / kSecond;
  when.it_value.tv_nsec = ns % kSecond;
  ::timerfd_settime(timer_, TFD_TIMER_ABSTIME, &when, nullptr);
}

void EventLoop::on_timer() {
  std::uint64_t expired = 0;
  // It may have been set anew in the same batch.
  if (::read(timer_, &expired, sizeof expired) != sizeof expired) return;
  due_.reset();
  if (const auto on_due = std::exchange(on_due_, {})) on_due();
}

void EventLoop::call(std::uint64_t key, bool readable) {
  const auto found = watched_.find(static_cast<int>(key & 0xffffffffU));
  if (found == watched_.end() || found->second.round != key >> 32) return;
  const auto on_ready = found->second.on_ready;  // it may forget itself
  (*on_ready)(readable);
}

void EventLoop::run() {
  std::array<epoll_event, kBatch> events{};
  while (!stopped_) {
    const int count = ::epoll_wait(set_, events.data(), kBatch, -1);
    if (count < 0 && errno != EINTR) return;
    for (int i = 0; i < count && !stopped_; ++i) {
      const auto& event = events[static_cast<std::size_t>(i)];
      call(event.data.u64, (event.events & EPOLLIN) != 0);
    }
  }
}

}  // namespace tokenpool::proc
