// The last resort where the limit of a type is what others wait for: when all that run of that type
// stand still, it is said who they are. Nothing more is granted: a limit is there for memory, or
// for a device, and whoever set it did not mean that it may be passed.
//
// Nothing is gained by haste, and jobs with limits are those that wait for a network or a license:
// who is stopped is named after the time of the last resort, who just does nothing, or waits for a
// disk, after kDiskPatience times as long.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "board/board.h"
#include "control/limit_wait.h"
#include "control/standstill.h"
#include "watch/build_view.h"
#include "watch/census_tree.h"
#include "watch/movement_watch.h"

namespace tokenpool::watch {

/// One thread.
class LimitWatch {
 public:
  /// `patience`: not 0.
  explicit LimitWatch(std::chrono::nanoseconds patience) : patience_(patience) {}

  /// Somebody waits for a job of its type to end.
  [[nodiscard]] static bool has_to_look(const BuildView& view) {
    return !control::limit_waits(*view.leases).empty();
  }
  /// Who is to be named now; each once while its lease lasts. `tree`: of `census`.
  std::vector<board::StuckRow> look(const BuildView& view, const proc::CensusSample& census,
                                    const CensusTree& tree);
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
  [[nodiscard]] static std::vector<std::vector<proc::CensusRow>> families_of(
      const BuildView& view, const control::LimitWait& wait, const CensusTree& tree);
  void name(const BuildView& view, const control::LimitWait& wait, const CensusTree& tree,
            std::vector<board::StuckRow>* rows);

  std::chrono::nanoseconds patience_;
  std::map<std::string, Watched> watched_;                 ///< by type
  std::set<pid_t> stopped_;                                ///< families of which all are stopped
  std::map<core::LeaseId, std::set<std::int32_t>> named_;  ///< who is halted of it; 0: just still
};

}  // namespace tokenpool::watch
