// The files in /proc that a census reads, at the least cost: those that are read again and again
// stay open (a pread(2) costs half of an open, a read and a close), up to a bound.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "core/process_id.h"

namespace tokenpool::proc {

/// /proc/PID/stat, as far as a census needs it; times are clock ticks, proc(5).
struct ProcessStat {
  core::ProcessId id;
  pid_t parent = 0;
  char state = '?';
  std::string name;
  int threads = 0;
  std::uint64_t ticks = 0;         ///< user and system, of all its threads, dead ones too
  std::uint64_t reaped_ticks = 0;  ///< ... of its children that have been waited for, and theirs
  std::uint64_t resident_pages = 0;
  friend bool operator==(const ProcessStat&, const ProcessStat&) = default;
};

/// Nothing when `line` is no line of a stat file. The name may hold anything, also ") R 1".
std::optional<ProcessStat> parse_stat(pid_t pid, const std::string& line);

/// One thread. Neither copies nor moves.
class ProcessFiles {
 public:
  /// Keeps at most `most_open` files open, no more than an eighth of what RLIMIT_NOFILE allows, and
  /// only while there are descriptors to spare (is_to_spare()).
  explicit ProcessFiles(std::size_t most_open);
  ~ProcessFiles();
  ProcessFiles(const ProcessFiles&) = delete;
  ProcessFiles& operator=(const ProcessFiles&) = delete;

  /// Whether /proc is there and shows the processes as this one sees them: where it was mounted for
  /// another pid namespace, its numbers mean others.
  [[nodiscard]] static bool are_readable();
  /// Every process: its pid, and a number that changes when the pid gets another owner (the inode;
  /// it may also change without).
  [[nodiscard]] std::vector<std::pair<pid_t, std::uint64_t>> list();
  /// Nothing when it is gone. A file that is kept open belongs to the process that it was opened
  /// for and never speaks of a later one with its pid. `keep`: it will be read again.
  std::optional<ProcessStat> read(pid_t pid, bool keep);
  /// Nanoseconds that the threads of `pid` have been runnable and did not run; of the first
  /// `most_threads` of them. Nothing where the kernel does not tell (CONFIG_SCHED_INFO) or when it
  /// is gone. /proc/PID/schedstat speaks of the first thread only.
  [[nodiscard]] std::optional<std::uint64_t> waited_ns(pid_t pid, int threads, int most_threads);
  void close(pid_t pid);
  [[nodiscard]] std::size_t open_count() const { return open_.size(); }

 private:
  std::optional<std::uint64_t> read_waited(const char* path);

  std::size_t most_open_;
  void* folder_ = nullptr;  ///< /proc, a DIR
  std::unordered_map<pid_t, int> open_;
  std::string text_;
};

}  // namespace tokenpool::proc
