// The last resort for a build that stands still (control/standstill.h): the pool gets a token in
// the place of one that does not come back. This class has the eyes. For whoever waits for the
// limit of a type see watch/limit_watch.h. Where nobody waits for a slot, and the build stands
// still because one of its processes is halted, that one is named, and that is all.
#pragma once

#include <chrono>

#include "control/standstill.h"
#include "proc/process.h"
#include "watch/build_view.h"
#include "watch/limit_watch.h"
#include "watch/movement_watch.h"
#include "watch/verdict.h"

namespace tokenpool::watch {

struct StandstillConfig {
  std::chrono::nanoseconds patience{};  ///< with a build that stands still; not 0
  bool left = false;                    ///< the front is gone: what it left is meant
  proc::FileId fifo;
};

/// One thread, the arbiter's.
class StandstillWatch {
 public:
  StandstillWatch(const StandstillConfig& config, core::Instant now);

  /// When look() is due: every second, for the price of a look at the pool.
  [[nodiscard]] core::Instant due() const { return due_; }
  /// Looks; at the processes only while all slots are taken, somebody waits for a lease, or the
  /// build stands still; else now and then, whether it does (not at those that it left behind). A
  /// walk that costs much makes the pause longer.
  Verdict look(const BuildView& view);

 private:
  /// By its user, on purpose.
  [[nodiscard]] bool is_stopped(const proc::CensusSample& census) const;
  /// Somebody who has but one slot waits in a read for another, where no calls are seen.
  [[nodiscard]] bool is_asked_unseen(const BuildView& view, const proc::CensusSample& census) const;
  [[nodiscard]] control::Movement movement_of(const proc::CensusSample& census);
  /// `movement`: of a build that `lacks` slots.
  void look_for_slots(const BuildView& view, const proc::CensusSample& census, bool lacks,
                      control::Movement movement, Verdict* verdict);
  void look_at_limits(const BuildView& view, const proc::CensusSample& census, Verdict* verdict);
  void look_for_halted(const BuildView& view, const proc::CensusSample& census, bool lacks,
                       control::Movement movement, Verdict* verdict);

  StandstillConfig config_;
  proc::CensusRates rates_;
  MovementWatch movement_;
  control::Standstill still_;
  control::Standstill idle_;  ///< while nobody lacks a slot
  LimitWatch limits_;
  core::Instant due_;
  core::Instant stroll_;  ///< when to look at processes without a reason
};

}  // namespace tokenpool::watch
