// The last resort of `tokenpool serve`: when somebody waits for slots, and no process that holds a
// lease, nor a descendant of one, has moved for some time (control/standstill.h), there are so many
// slots more that it gets on, mostly one, until those that are stuck give back what they have.
// Where it waits for the limit of a type, see watch/limit_watch.h.
//
// Who is connected from elsewhere cannot be seen: as long as somebody holds a lease whose processes
// nobody knows, nothing stands still.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "control/standstill.h"
#include "core/lease_pool.h"
#include "proc/census.h"
#include "watch/census_tree.h"
#include "watch/limit_watch.h"
#include "watch/movement_watch.h"

namespace tokenpool::watch {

/// What it looks at. All outlive it.
struct ServeWatchContext {
  const core::LeasePool* leases = nullptr;
  /// The process that answers for a lease; pid 0: it is not known.
  std::function<core::ProcessId(const core::Lease&)> holder_of;
  std::function<void(const std::string&)> say;  ///< one line
  std::chrono::nanoseconds patience{};          ///< not 0
};

/// One thread. Neither copies nor moves.
class ServeWatch {
 public:
  ServeWatch(ServeWatchContext context, core::Instant now);

  /// When step() is due; nothing: not before leases or requests change.
  [[nodiscard]] std::optional<core::Instant> due() const;
  /// Looks. How many slots are to be supplied beyond those that there are.
  int step(core::Instant now);
  /// Leases may have ended. How many of the slots are to be taken back.
  int take_back();

 private:
  [[nodiscard]] bool somebody_waits() const;
  int look_for_slots(const proc::CensusSample& census, const CensusTree& tree, core::Instant now);
  /// Those that hold leases and their descendants; nothing: not all are known.
  [[nodiscard]] std::optional<std::vector<proc::CensusRow>> holders(const CensusTree& tree) const;
  void name_stuck(const std::vector<proc::CensusRow>& rows);

  ServeWatchContext context_;
  proc::Census census_;  ///< of the whole pid namespace
  MovementWatch movement_;
  control::Standstill still_;
  LimitWatch limits_;
  core::Instant due_;
  int extra_ = 0;                       ///< slots that there are for those that are stuck
  std::map<core::LeaseId, int> stuck_;  ///< what each cost when it was taken for stuck
  /// With whoever of it is halted (else 0), while there is something extra.
  std::set<std::pair<std::int32_t, std::int32_t>> named_;
};

}  // namespace tokenpool::watch
