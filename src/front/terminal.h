// The controlling terminal of the front, as it was before the build: given to a shell of the build
// that has stopped itself, taken back when the build has ended.
#pragma once

#include <optional>

#include <sys/types.h>
#include <termios.h>

namespace tokenpool::front {

/// Neither copies nor moves.
class Terminal {
 public:
  Terminal() = default;
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  /// Opens it and remembers its modes. False: this process has none.
  bool open();
  [[nodiscard]] bool is_there() const { return fd_ >= 0; }
  [[nodiscard]] int fd() const { return fd_; }

  /// Makes a process group of the build the foreground one, if this process is in the foreground.
  void give_to(pid_t group) const;
  /// This process is in the foreground again, if it was when the terminal was opened. `restores`:
  /// the modes are what they were then, too.
  void take_back(bool restores) const;

 private:
  int fd_ = -1;
  bool was_foreground_ = false;
  std::optional<termios> modes_;
};

}  // namespace tokenpool::front
