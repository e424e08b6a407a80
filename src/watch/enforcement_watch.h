// `run --enforce`: while fewer slots are left than are in use, the youngest jobs stand still. The
// law is control/enforcement.h; this class has the eyes and the hands.
#pragma once

#include <vector>

#include "control/enforcement.h"
#include "watch/build_view.h"

namespace tokenpool::watch {

/// One thread, the arbiter's.
class EnforcementWatch {
 public:
  explicit EnforcementWatch(core::Instant now);

  /// When look() is due: every quarter of a second; a tenth while somebody is frozen.
  [[nodiscard]] core::Instant due() const { return due_; }
  /// Who is to go on, and who to stand still. Looks at the processes only while more slots are in
  /// use than there are, or somebody is frozen. A walk that costs much makes the pause longer.
  control::EnforcementStep look(const BuildView& view);
  /// A job of the last answer could not be frozen.
  void could_not(const std::vector<core::ProcessId>& job, core::Instant now);
  /// Jobs that stand still.
  [[nodiscard]] int frozen() const { return static_cast<int>(law_.frozen_jobs()); }

 private:
  [[nodiscard]] std::vector<control::TreeProcess> tree_of(const BuildView& view) const;

  control::Enforcement law_;
  core::Instant due_;
};

}  // namespace tokenpool::watch
