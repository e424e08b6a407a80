// A child under the filter, for tests of what the listener sees.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <span>

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jobserver/seccomp.h"
#include "proc/descriptor_passing.h"

namespace tokenpool::jobserver {

inline constexpr int kReadEnd = 900;
inline constexpr int kWriteEnd = 901;

// A child under the filter that runs `body` and exits with what it answers.
class Filtered {
 public:
  explicit Filtered(const std::function<int()>& body, bool exits = false) {
    std::array<int, 2> link{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, link.data()), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      const int listener = install_filter(kReadEnd, kWriteEnd, exits);
      if (!proc::send_message(link[1], std::as_bytes(std::span("d", 1)), {&listener, 1}))
        ::_exit(98);
      ::close(listener);
      ::_exit(body());
    }
    ::close(link[1]);
    std::byte word{};
    const auto message = proc::receive_message(link[0], {&word, 1});
    EXPECT_EQ(message.descriptors.size(), 1U);
    if (!message.descriptors.empty()) fd_ = message.descriptors[0];
    ::close(link[0]);
  }
  ~Filtered() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    if (fd_ >= 0) ::close(fd_);
  }
  Filtered(const Filtered&) = delete;
  Filtered& operator=(const Filtered&) = delete;

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] pid_t pid() const { return pid_; }
  int status() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }
  // Waits until a call is stopped.
  Notification stopped(const Listener& listener) const {
    pollfd ready{fd_, POLLIN, 0};
    EXPECT_EQ(::poll(&ready, 1, -1), 1);
    Receipt receipt;
    EXPECT_EQ(listener.receive(&receipt), Received::call);
    return receipt.call().value_or(Notification{});
  }

 private:
  pid_t pid_ = 0;
  int fd_ = -1;
};

// A pipe whose read end is `number`; answers the write end.
inline int pipe_at(int number) {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) return -1;
  return ::dup2(ends[0], number) == number ? ends[1] : -1;
}

}  // namespace tokenpool::jobserver
