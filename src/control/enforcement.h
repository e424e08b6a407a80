// Enforcement: which jobs stand still while there are fewer slots than are in use. Pure.
//
// A token that is out cannot be called back. So when the number of slots falls (somebody has set
// it, the machine is busy, some are withheld), they are withheld as they come back. Only when for
// kEnforceAfter none has come back and there are still too many, jobs are frozen:
//  * the youngest first, which have the least to lose, but first those that never were frozen or
//    not for the longest time, so that all have their turn;
//  * never the oldest that runs, so that the build always gets on, nor a job that somebody else has
//    stopped, nor one that may not be (control/job_tree.h).
// They are thawed in the order in which they were started: the oldest has done the most and is
// waited for by the most. A job is thawed
//  * at once when slots suffice for it, because another has ended or there are more of them;
//  * after kMaxFrozen: it may hold a lock that others wait for. Then another takes its place; where
//    there is no other, one too many runs for a while;
//  * at once when a signal waits for it, or it is not below the command any more;
//  * when somebody else has let it go on (a shell's fg).
// Whoever was thawed runs for kTurn at least, so that nobody is frozen and thawed in turns.
// While its coordinator is stopped, a job is left alone: the user has stopped the build.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <vector>

#include "control/job_tree.h"
#include "core/effect.h"

namespace tokenpool::control {

inline constexpr std::chrono::nanoseconds kEnforceAfter = std::chrono::seconds(1);
inline constexpr std::chrono::nanoseconds kMaxFrozen = std::chrono::seconds(60);
inline constexpr std::chrono::nanoseconds kTurn = std::chrono::seconds(10);

struct EnforcementSample {
  int in_use = 0;   ///< slots, those of frozen jobs included
  int allowed = 0;  ///< slots that there are; one is the least
  std::vector<TreeProcess> processes;
  std::int32_t front = 0;
  friend bool operator==(const EnforcementSample&, const EnforcementSample&) = default;
};

/// What is to be done now, in this order.
struct EnforcementStep {
  std::vector<core::ProcessId> thaw;                 ///< also those that have ended
  std::vector<std::vector<core::ProcessId>> freeze;  ///< a job each
  friend bool operator==(const EnforcementStep&, const EnforcementStep&) = default;
};

/// One thread. Bounded by the processes of one sample.
class Enforcement {
 public:
  EnforcementStep step(const EnforcementSample& sample, core::Instant now);
  /// No more slots are in use than there are, and nobody is frozen: nothing is to be done.
  void calm(core::Instant now);
  /// A job of the last step could not be frozen: it is left alone for kTurn.
  void give_up(core::ProcessId leaf, core::Instant now);

  /// Jobs that stand still.
  [[nodiscard]] std::size_t frozen_jobs() const { return frozen_.size(); }

 private:
  struct Frozen {
    core::ProcessId root;
    std::vector<core::ProcessId> leaves;
    int slots = 1;
    core::Instant since{};
    bool seen_stopped = false;
  };
  struct Thawed {
    core::ProcessId root;
    core::Instant when{};
  };
  class Tree;

  void look_after_frozen(const Tree& tree, core::Instant now, EnforcementStep* step);
  void thaw_where_slots_suffice(const Tree& tree, int excess, core::Instant now,
                                EnforcementStep* step);
  [[nodiscard]] bool is_stopped_by_others(const TreeJob& job, core::Instant now) const;
  [[nodiscard]] const TreeJob* oldest(const Tree& tree, core::Instant now) const;
  void freeze(const Tree& tree, int lack, core::Instant now, EnforcementStep* step);
  void thaw(std::size_t index, core::Instant now, EnforcementStep* step);
  [[nodiscard]] const Thawed* thawed(core::ProcessId root) const;
  [[nodiscard]] bool is_frozen(core::ProcessId root) const;
  [[nodiscard]] int frozen_slots() const;

  std::vector<Frozen> frozen_;  ///< the oldest job first
  std::vector<Thawed> thawed_;  ///< the jobs that live of those that were frozen
  int over_ = 0;                ///< slots in use beyond those that there are, at the last step
  core::Instant since_{};       ///< ... since when so many
};

}  // namespace tokenpool::control
