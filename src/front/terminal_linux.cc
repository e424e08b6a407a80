#include <csignal>

#include <fcntl.h>
#include <unistd.h>

#include "front/terminal.h"

namespace tokenpool::front {

Terminal::~Terminal() {
  if (fd_ >= 0) ::close(fd_);
}

bool Terminal::open() {
  fd_ = ::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
  was_foreground_ = fd_ >= 0 && ::tcgetpgrp(fd_) == ::getpgrp();
  termios modes{};
  if (was_foreground_ && ::tcgetattr(fd_, &modes) == 0) modes_ = modes;
  return fd_ >= 0;
}

// In the background it waits for the terminal as any job does.
void Terminal::give_to(pid_t group) const {
  if (::tcgetpgrp(fd_) == ::getpgrp()) ::tcsetpgrp(fd_, group);
}

// A job-control shell that was killed leaves the terminal with a group that is gone, an editor
// leaves it raw.
void Terminal::take_back(bool restores) const {
  if (!was_foreground_) return;
  sigset_t background;
  sigemptyset(&background);
  sigaddset(&background, SIGTTOU);
  ::sigprocmask(SIG_BLOCK, &background, nullptr);
  if (::tcgetpgrp(fd_) != ::getpgrp()) ::tcsetpgrp(fd_, ::getpgrp());
  if (restores && modes_) ::tcsetattr(fd_, TCSADRAIN, &*modes_);
}

}  // namespace tokenpool::front
