// The slots of an elastic pool follow the machine: the governor (control/governor.h) with eyes.
#pragma once

#include <optional>
#include <string>

#include "control/governor.h"
#include "core/slot_range.h"
#include "proc/load_meter.h"

namespace tokenpool::watch {

/// What the pool does with its slots, now.
struct PoolUse {
  int in_use = 0;          ///< the implicit one included
  bool exhausted = false;  ///< no slot is free: somebody may wait for one
  /// Slots that somebody needs at once, within the range: fewer would let him wait for ever.
  int needed = 0;
};

/// One thread. Neither copies nor moves.
class Elastic {
 public:
  /// Begins with `slots`. `own`: folder of the build's control group. Without one, what the build
  /// uses is taken to be all that is used, at most a CPU for each of its slots: beside others it
  /// then gets more slots more slowly.
  Elastic(core::SlotRange range, int slots, const std::string& own, core::Instant now);
  Elastic(const Elastic&) = delete;
  Elastic& operator=(const Elastic&) = delete;

  /// When step() is due.
  [[nodiscard]] core::Instant due() const { return due_; }
  /// Looks at the machine, if it is due, and answers how many slots there should be.
  int step(const PoolUse& pool, core::Instant now);

 private:
  core::SlotRange range_;
  control::Governor governor_;
  proc::LoadMeter meter_;
  core::Instant due_;
  int slots_;
};

}  // namespace tokenpool::watch
