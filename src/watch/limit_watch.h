// The last resort where the limit of a type is what others wait for: when all that run of that type
// stand still, it is said who they are. Nothing more is granted: a limit is there for memory, or
// for a device, and whoever set it did not mean that it may be passed.
//
// Nothing is gained by haste, and jobs with limits are those that wait for a network or a license:
// who is stopped is named after the time of the last resort, who just does nothing, or waits for a
// disk, after kDiskPatience times as long.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "board/board.h"
#include "control/limit_wait.h"
#include "control/standstill.h"
#include "core/lease_pool.h"
#include "proc/census.h"
#include "watch/census_tree.h"
#include "watch/movement_watch.h"

namespace tokenpool::watch {

/// What it looks at. All outlive it.
struct LimitWatchContext {
  const core::LeasePool* leases = nullptr;
  /// The process that answers for a lease; pid 0: it is not known.
  std::function<core::ProcessId(const core::Lease&)> holder_of;
  /// Whether one of them may wait for a slot, as far as the leases do not tell.
  std::function<bool(const std::vector<proc::CensusRow>&)> may_wait;
  std::chrono::nanoseconds patience{};  ///< not 0
};

/// One thread.
class LimitWatch {
 public:
  explicit LimitWatch(LimitWatchContext context) : context_(std::move(context)) {}

  /// Somebody waits for a job of its type to end.
  [[nodiscard]] bool has_to_look() const { return !control::limit_waits(*context_.leases).empty(); }
  /// Who is to be named now; each once while its lease lasts.
  std::vector<board::StuckRow> look(const proc::CensusSample& census, const CensusTree& tree,
                                    core::Instant now);
  /// Whether it belongs to those of which all are stopped: it is named before long, or has been.
  [[nodiscard]] bool names_soon(pid_t pid) const { return stopped_.contains(pid); }
  /// The next look is a first one.
  void forget() {
    watched_.clear();
    stopped_.clear();
  }

 private:
  struct Watched {
    MovementWatch movement;
    control::Standstill still;
  };
  /// The holders of one type and what is below them; empty: not all are known, or one of them waits
  /// for a slot.
  [[nodiscard]] std::vector<std::vector<proc::CensusRow>> families_of(
      const control::LimitWait& wait, const CensusTree& tree) const;
  [[nodiscard]] bool waits_for_slot(core::LeaseId lease,
                                    const std::vector<proc::CensusRow>& family) const;
  void name(const control::LimitWait& wait, const CensusTree& tree,
            std::vector<board::StuckRow>* rows);

  LimitWatchContext context_;
  std::map<std::string, Watched> watched_;                 ///< by type
  std::set<pid_t> stopped_;                                ///< families of which all are stopped
  std::map<core::LeaseId, std::set<std::int32_t>> named_;  ///< who is halted of it; 0: just still
};

}  // namespace tokenpool::watch
