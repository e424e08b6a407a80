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
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "control/standstill.h"
#include "core/lease_pool.h"
#include "watch/build_view.h"
#include "watch/census_tree.h"
#include "watch/limit_watch.h"
#include "watch/movement_watch.h"
#include "watch/verdict.h"

namespace tokenpool::watch {

/// One thread. Neither copies nor moves.
class ServeWatch {
 public:
  /// `patience`: not 0.
  ServeWatch(std::chrono::nanoseconds patience, core::Instant now);

  /// When look() is due; nothing: not before leases or requests change.
  [[nodiscard]] std::optional<core::Instant> due(const core::LeasePool& leases) const;
  /// What is to be done. A walk that costs much makes the pause longer.
  Verdict look(const BuildView& view);
  /// Leases may have ended. How many of the slots are to be taken back.
  int take_back(const core::LeasePool& leases);

 private:
  void look_for_slots(const BuildView& view, const proc::CensusSample& census,
                      const CensusTree& tree, Verdict* verdict);
  void name_stuck(const BuildView& view, const std::vector<proc::CensusRow>& rows,
                  Verdict* verdict);

  proc::CensusRates rates_;
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
