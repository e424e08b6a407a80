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
#include <unordered_map>
#include <vector>

#include <sys/types.h>

#include "core/effect.h"
#include "core/process_id.h"

namespace tokenpool::proc {

/// One process.
struct CensusRow {
  core::ProcessId who{};
  pid_t parent = 0;
  std::string name{};  ///< of the program, cut by the kernel to 15 bytes
  char state = '?';    ///< as in proc(5); 'Z' has ended and nobody has waited for it
  int threads = 0;
  std::uint64_t resident_bytes = 0;
  // CPU seconds in its life.
  double use_seconds = 0;
  double reaped_seconds = 0;  ///< of the children that it has waited for
  /// Runnable, but not running; of the first kMaxCensusThreads threads. Nothing: it has slept at
  /// all walks.
  std::optional<double> delay_seconds = std::nullopt;
  // CPUs (seconds per second) since the look before, see CensusRates.
  double use = 0;
  double delay = 0;
  double reaped = 0;  ///< by descendants that ended since, and not counted for them before
  [[nodiscard]] double demand() const { return use + delay + reaped; }
  /// CPUs that it would have used itself if it had never had to wait for one: what it ran, in the
  /// time that it did not wait. One that spins would have used all of one. One that looks every few
  /// milliseconds whether something is done waits long for each look on a busy machine, and would
  /// have used next to nothing.
  [[nodiscard]] double wanted() const;
  friend bool operator==(const CensusRow&, const CensusRow&) = default;
};

struct CensusSample {
  core::Instant at{};  ///< of the walk
  /// From the look before to this one; 0 for the first one, whose rates are all 0.
  std::chrono::nanoseconds interval{};
  std::chrono::nanoseconds cost{};  ///< CPU time of the walk
  std::vector<CensusRow> rows{};    ///< the root first, if it lives; else in no order
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

  /// Without rates. Processes that end meanwhile are left out or answered as they were last;
  /// nothing is reported for a pid's next owner. Empty where /proc does not show this process's own
  /// pid namespace.
  CensusSample walk(core::Instant now);
  /// Closes what is kept open; the next walk does not know who has slept.
  void forget();
  /// Files that are kept open between two walks: at most kMaxCensusFiles.
  [[nodiscard]] std::size_t open_files() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// What the processes did between two looks. Whoever looks has one of his own, so that several can
/// look at the walks of one census, each as often as he likes.
class CensusRates {
 public:
  /// `walk`, which is later than the one before, with its rates.
  CensusSample look(CensusSample walk);
  /// The next look is a first one.
  void forget();

 private:
  using Living = std::unordered_map<pid_t, const CensusRow*>;
  [[nodiscard]] std::unordered_map<pid_t, double> counted_of_the_dead(const Living& living) const;

  std::optional<core::Instant> before_;
  std::unordered_map<pid_t, CensusRow> past_;
};

}  // namespace tokenpool::proc
