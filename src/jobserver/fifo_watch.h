// Tells when the FIFO was touched by a call that nobody saw, and by whom if the kernel says so.
//
// fanotify(7) in FID mode names the process of each access but needs CAP_SYS_ADMIN; inotify(7) only
// tells that there was one, and needs nothing. Both report our own accesses as well.
#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

namespace tokenpool::jobserver {

/// What was reported. Several reads of one process without a write of its own in between, and the
/// other way round, may be one touch.
struct FifoTouches {
  int reads = 0;   ///< that took something
  int writes = 0;  ///< ... or put it in
  int opens = 0;
  std::vector<pid_t> readers;  ///< each once, ours left out
  std::vector<pid_t> writers;  ///< each once, ours left out
  std::vector<pid_t> opened;   ///< and have neither read nor written yet
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
  /// Adds what was reported since the last call to `touches` and answers whether there was
  /// anything: with names_processes() who it was, and one read or write of each; without them
  /// nobody, and reads and writes of ours are among them. Never blocks.
  bool collect(FifoTouches* touches) const;

 private:
  int fd_ = -1;
  pid_t self_;
  bool names_ = false;
};

}  // namespace tokenpool::jobserver
