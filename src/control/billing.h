// Billing: who uses more CPUs than it has slots, and how many slots its build has to do without
// until that ends. Pure: it is told samples, and answers accusations.
//
// What a process may demand: the slots that are held in its subtree (tokens of clients, leases at
// what they cost) and the one that it got from above: the command has the implicit slot, a client
// of the jobserver gives each of its children one, and orphans have none. What it demands is what
// its subtree uses and would use of idle CPUs (proc/census.h, wanted()). A client that has children
// only waits for them and reads their output: its own use is nobody's job and does not count.
//
// The law (facts/scheduling.md 3.1), at samples kBillingStep apart, for every holder and for the
// whole build:
//  * The excess of demand over what is allowed, never below 0, in a mean over kSuspicionMean, is
//    above what is tolerated three times in a row, and the excess itself above half of that:
//    somebody below is accused.
//    So a burst of a second and a half accuses nobody, whatever its width, and one whole CPU too
//    much is named after two seconds, and the first sample begins within another half.
//  * Named is nobody before it has used kLeastUse in its life: where others keep the machine busy,
//    a burst lasts longer than it would, and is a burst nevertheless.
//  * Named is the process that has all of the excess below it, and no child that has: a nested
//    make with its own pool, xargs, a linker and its threads; one for each job where several jobs
//    of a client do so. A shell that works itself or runs something else beside it is not named
//    for the slot that they have in common. What a named process has too much is its own from
//    then on and burdens none of its ancestors.
//  * Released when the mean falls below half of what is tolerated, or at its end.
// Slots may change hands between two samples: what is allowed is what there was at the better end.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "core/effect.h"
#include "core/process_id.h"

namespace tokenpool::control {

inline constexpr std::chrono::nanoseconds kBillingStep = std::chrono::milliseconds(500);
inline constexpr std::chrono::nanoseconds kSuspicionMean = std::chrono::seconds(1);
/// Of what the accused have too much: who pauses for a moment is not released.
inline constexpr std::chrono::nanoseconds kBillingMean = std::chrono::seconds(2);
/// Excess in CPUs that is tolerated: half of the least that matters, and for each slot beyond the
/// first one what a job's pipes and helpers use beside it (gcc -pipe runs cc1plus and as at once).
inline constexpr double kTolerated = 0.5;
inline constexpr double kToleratedPerSlot = 0.1;
inline constexpr int kSamplesToAccuse = 3;
inline constexpr double kLeastUse = 0.5;  ///< CPU seconds

struct ProcessLoad {
  core::ProcessId who;
  std::int32_t parent = 0;
  double demand = 0;  ///< of its own threads; CPUs
  double reaped = 0;  ///< by descendants that ended since the sample before
  double used = 0;    ///< CPU seconds in its life, with those of the children it has waited for
  friend bool operator==(const ProcessLoad&, const ProcessLoad&) = default;
};

/// Slots that a process has beside the one from above.
struct Holding {
  core::ProcessId who;
  int slots = 0;
  bool client = false;  ///< it has a slot, or holds one, for each of its children
  friend bool operator==(const Holding&, const Holding&) = default;
};

struct BillingSample {
  std::int32_t root = 0;           ///< parent of the command and of orphans; not itself a job
  std::vector<ProcessLoad> loads;  ///< since the sample before, of everybody below the root
  std::vector<Holding> holdings;   ///< now; no process twice
  int loose = 0;  ///< slots that somebody holds, nobody knows who: everybody is believed to
  friend bool operator==(const BillingSample&, const BillingSample&) = default;
};

struct Accusation {
  core::ProcessId who;
  double cores = 0;  ///< demanded beyond what it is allowed, in the mean
  core::Instant since{};
  friend bool operator==(const Accusation&, const Accusation&) = default;
};

/// One thread. Bounded by the processes of one sample.
class Billing {
 public:
  /// The next sample. Answers who is accused now, in the order of their accusation.
  const std::vector<Accusation>& step(const BillingSample& sample, core::Instant now);
  /// A process has ended: what it had too much is free at once. False: it was not accused.
  bool ended(core::ProcessId who);
  /// Nobody can have too much at the moment: what was suspected is forgotten, and the accused are
  /// released.
  void calm();

  [[nodiscard]] const std::vector<Accusation>& accused() const { return accused_; }
  /// Slots that the build has to do without: the sum of what the accused have too much.
  [[nodiscard]] int withheld() const;
  /// Somebody is accused or has too much for the moment: the next sample is wanted soon.
  [[nodiscard]] bool is_suspicious() const;

 private:
  struct Suspicion {
    double mean = 0;
    int samples = 0;  ///< in a row
  };
  struct PastHolding {
    Holding holding;
    std::int32_t parent = 0;
  };
  class Family;

  void follow_accused(const Family& family, double weight);
  bool accuse_below(std::size_t index, Family* family, core::Instant now);
  void remember(const BillingSample& sample, const Family& family);

  std::unordered_map<core::ProcessId, Suspicion, core::ProcessIdHash> suspicions_;
  std::vector<Accusation> accused_;
  std::vector<PastHolding> held_;  ///< at the sample before
  int loose_ = 0;
  std::optional<core::Instant> last_;
};

}  // namespace tokenpool::control
