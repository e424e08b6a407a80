// The slots of an elastic pool follow the machine: the governor (control/governor.h) with eyes.
#pragma once

#include <optional>
#include <string>

#include "control/governor.h"
#include "core/slot_range.h"
#include "proc/load_meter.h"
#include "watch/build_view.h"

namespace tokenpool::watch {

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
  int step(const BuildView& view);

 private:
  core::SlotRange range_;
  control::Governor governor_;
  proc::LoadMeter meter_;
  core::Instant due_;
  int slots_;
};

}  // namespace tokenpool::watch
