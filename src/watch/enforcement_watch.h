// `run --enforce`: while fewer slots are left than are in use, the youngest jobs stand still. The
// law is control/enforcement.h; this class has the eyes and the hands.
#pragma once

#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

#include <sys/types.h>

#include "board/board.h"
#include "board/freezer.h"
#include "control/enforcement.h"
#include "core/lease_pool.h"
#include "core/pool.h"
#include "proc/census.h"

namespace tokenpool::watch {

/// What it looks at. All outlive it.
struct EnforcementWatchContext {
  const core::Pool* pool = nullptr;
  const core::LeasePool* leases = nullptr;
  /// The process of a session, where it is known.
  std::function<std::optional<core::ProcessId>(core::SessionId)> process_of;
  std::function<int()> in_use;   ///< slots that somebody has and that were not lost before
  std::function<int()> allowed;  ///< slots that there are, at least one
  std::function<std::vector<core::ProcessId>()> uncooperative;
  pid_t front = 0;
  board::Board* board = nullptr;
  std::function<void()> tell;  ///< somebody is frozen, for the first time by this arbiter
};

/// One thread, the arbiter's, which is no part of the build. Neither copies nor moves.
class EnforcementWatch {
 public:
  EnforcementWatch(EnforcementWatchContext context, core::Instant now);
  /// Everybody goes on.
  ~EnforcementWatch();
  EnforcementWatch(const EnforcementWatch&) = delete;
  EnforcementWatch& operator=(const EnforcementWatch&) = delete;

  /// When step() is due: every quarter of a second; a tenth while somebody is frozen.
  [[nodiscard]] core::Instant due() const { return due_; }
  /// Looks; at the processes only while more slots are in use than there are, or somebody is
  /// frozen. A walk that costs much makes the pause longer.
  void step(core::Instant now);
  /// Jobs that stand still.
  [[nodiscard]] int frozen() const { return static_cast<int>(law_.frozen_jobs()); }

 private:
  [[nodiscard]] std::vector<control::TreeProcess> tree_of(const proc::CensusSample& census) const;
  void mark_clients(std::vector<control::TreeProcess>* tree) const;
  void carry_out(const control::EnforcementStep& step, core::Instant now);

  EnforcementWatchContext context_;
  proc::Census census_;
  control::Enforcement law_;
  board::Freezer freezer_;
  core::Instant due_;
  core::Instant counted_;  ///< so far the board knows how long
  int counted_jobs_ = 0;   ///< ... who stood still
  bool told_ = false;
};

}  // namespace tokenpool::watch
