// Tells when the FIFO was touched by a call that nobody saw, and by whom if the kernel says so.
//
// fanotify(7) in FID mode names the process of each access but needs CAP_SYS_ADMIN; inotify(7) only
// tells that there was one, and needs nothing. Both report our own accesses as well.
#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

namespace tokenpool::jobserver {

/// The processes that touched the FIFO, ours left out, each once.
struct FifoTouches {
  std::vector<pid_t> accessed;  ///< read or wrote
  std::vector<pid_t> opened;    ///< and have not accessed it yet
};

class FifoWatch {
 public:
  /// Watches the FIFO at `path`. Where neither way works, fd() is -1 and nothing is ever reported.
  explicit FifoWatch(const std::string& path);
  ~FifoWatch();
  FifoWatch(const FifoWatch&) = delete;
  FifoWatch& operator=(const FifoWatch&) = delete;

  /// Polls readable when there is something to collect.
  [[nodiscard]] int fd() const { return fd_; }
  /// Whether accesses come with a process.
  [[nodiscard]] bool names_processes() const { return names_; }
  /// Forgets what was reported so far and answers who it was since the last call (without
  /// names_processes(): nobody). Never blocks.
  [[nodiscard]] FifoTouches collect() const;

 private:
  int fd_ = -1;
  pid_t self_;
  bool names_ = false;
};

}  // namespace tokenpool::jobserver
