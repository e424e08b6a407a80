// The census: every process of a build, with what it used of the CPUs and what it would have used
// of more of them.
//
// Use is the time that threads ran, demand that plus the time that they were runnable and did not
// run. On a busy machine use says how much was to be had, demand how much was wanted: four spinners
// on two CPUs use 2 and demand 4. A thread that waits for a disk or sleeps demands nothing.
//
// One walk reads /proc once: a line for each process of the build, about 5 us, or twice that where
// its file cannot be kept open; strangers are read once in their life. Threads are looked at one by
// one only in a process that ran or could have. So 200 processes cost about a millisecond and 10
// 000 about 0.1 s, and how often that is worth it is up to the caller (control/billing.h; a
// BuildLoad tells at a thousandth of the cost whether there is a reason to walk).
//
// What a walk cannot see: the waiting time of processes that began and ended between two walks, and
// all of those whose parent ignores SIGCHLD. What they used counts for the nearest ancestor that
// lives (`reaped`), once it has waited for them.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "core/effect.h"
#include "core/process_id.h"

namespace tokenpool::proc {

/// One process. Rates are CPUs (seconds per second) since the walk before.
struct CensusRow {
  core::ProcessId who;
  pid_t parent = 0;
  std::string name;  ///< of the program, cut by the kernel to 15 bytes
  char state = '?';  ///< as in proc(5); 'Z' has ended and nobody has waited for it
  int threads = 0;
  std::uint64_t resident_bytes = 0;
  double use = 0;
  double delay = 0;   ///< runnable, but not running; of the first kMaxCensusThreads threads
  double reaped = 0;  ///< used by descendants that ended since, and not counted for them before
  double used = 0;    ///< CPU seconds in its life, with those of the children it has waited for
  [[nodiscard]] double demand() const { return use + delay + reaped; }
  /// CPUs that it would have used itself if it had never had to wait for one: what it ran, in the
  /// time that it did not wait. One that spins would have used all of one. One that looks every few
  /// milliseconds whether something is done waits long for each look on a busy machine, and would
  /// have used next to nothing.
  [[nodiscard]] double wanted() const;
  friend bool operator==(const CensusRow&, const CensusRow&) = default;
};

struct CensusSample {
  /// From the walk before to this one; 0 for the first one, whose rates are all 0.
  std::chrono::nanoseconds interval{};
  std::chrono::nanoseconds cost{};  ///< CPU time of the walk
  std::vector<CensusRow> rows;      ///< the root first, if it lives; else in no order
  friend bool operator==(const CensusSample&, const CensusSample&) = default;
};

/// One thread. Neither copies nor moves.
class Census {
 public:
  /// The processes of the build are `root`, which is their subreaper (so nobody leaves the family
  /// when its parent ends), and its descendants, without `exempt` and its descendants.
  explicit Census(pid_t root, pid_t exempt = 0);
  ~Census();
  Census(const Census&) = delete;
  Census& operator=(const Census&) = delete;

  /// Walks. `now` is later than at the walk before. Processes that end meanwhile are left out or
  /// answered as they were last; nothing is reported for a pid's next owner. Empty where /proc
  /// does not show this process's own pid namespace.
  CensusSample sample(core::Instant now);
  /// Forgets what was read, so that the next walk is a first one. Files are closed.
  void forget();
  /// Files that are kept open between two walks: at most kMaxCensusFiles.
  [[nodiscard]] std::size_t open_files() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tokenpool::proc
