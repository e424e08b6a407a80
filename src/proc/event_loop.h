// Waits for descriptors and for one deadline, and calls whoever wants to know. On epoll(7), level
// triggered: whoever is readable is told of again until it has been read, and watching one costs
// nothing while nothing happens.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>

#include "core/effect.h"

namespace tokenpool::proc {

/// One thread. Not movable.
class EventLoop {
 public:
  /// `readable`: false when the peer has hung up and there is nothing to read.
  using Handler = std::function<void(bool readable)>;
  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  /// False when there was no descriptor left for it: then nothing can be watched.
  [[nodiscard]] bool works() const { return set_ >= 0 && timer_ >= 0; }
  /// `on_ready` is called as long as `fd` is readable or its peer has hung up, until forget(). It
  /// may watch and forget any descriptor. False with errno when the kernel refuses (no memory, no
  /// watches left). `fd` stays the caller's.
  [[nodiscard]] bool watch(int fd, Handler on_ready);
  /// To be called before `fd` is closed. No-op for one that is not watched.
  void forget(int fd);
  /// `on_due` is called once at `due` or as soon as that has passed; it replaces the deadline
  /// before. Without `due` there is none.
  void set_deadline(std::optional<core::Instant> due, std::function<void()> on_due = {});
  /// Calls handlers until stop().
  void run();
  void stop() { stopped_ = true; }

 private:
  struct Watched {
    std::uint32_t round = 0;  ///< tells a number from the same one that was forgotten meanwhile
    std::shared_ptr<const Handler> on_ready;
  };
  void on_timer();
  void call(std::uint64_t key, bool readable);

  int set_;
  int timer_;
  std::unordered_map<int, Watched> watched_;
  std::uint32_t rounds_ = 0;
  std::optional<core::Instant> due_;
  std::function<void()> on_due_;
  bool stopped_ = false;
};

}  // namespace tokenpool::proc
