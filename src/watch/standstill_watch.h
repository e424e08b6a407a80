// Slots that will not come back: tokens that were lost where nobody's calls are seen
// (control/lost_tokens.h), and the last resort for a build that stands still
// (control/standstill.h). In both cases the pool gets a token in their place; this class has the
// eyes. For whoever waits for the limit of a type see watch/limit_watch.h. Where nobody waits for a
// slot, and the build stands still because one of its processes is halted, that one is named, and
// that is all.
#pragma once

#include <array>
#include <chrono>
#include <map>
#include <vector>

#include "control/lost_tokens.h"
#include "control/standstill.h"
#include "proc/process.h"
#include "watch/build_view.h"
#include "watch/limit_watch.h"
#include "watch/movement_watch.h"
#include "watch/verdict.h"

namespace tokenpool::watch {

struct StandstillConfig {
  std::chrono::nanoseconds patience{};  ///< with a build that stands still; 0: no end of it
  bool left = false;                    ///< the front is gone: what it left is meant
  proc::FileId fifo;
  std::array<int, 2> ends{-1, -1};  ///< of it that the build inherited
};

/// One thread, the arbiter's.
class StandstillWatch {
 public:
  StandstillWatch(const StandstillConfig& config, core::Instant now);

  /// When look() is due: every second, for the price of a look at the pool; where nobody's calls
  /// are seen twice as often, and four times while tokens seem to be lost.
  [[nodiscard]] core::Instant due() const { return due_; }
  /// Looks; at the processes only while all slots are taken, somebody waits for a lease, tokens are
  /// out of which nobody knows who has them, or the build stands still; else now and then, whether
  /// it does (not at those that it left behind). A walk that costs much makes the pause longer.
  Verdict look(const BuildView& view);

 private:
  /// What is left of the view's figures when the verdict so far is carried out.
  struct Figures {
    int out = 0;
    bool exhausted = false;
  };
  /// By its user, on purpose.
  [[nodiscard]] bool is_stopped(const proc::CensusSample& census) const;
  /// Somebody lacks slots that others have.
  [[nodiscard]] static bool lacks_slots(const BuildView& view, const Figures& figures);
  /// The same where no calls are seen, of whoever waits in a read with one slot.
  [[nodiscard]] bool is_asked_unseen(const BuildView& view, const Figures& figures,
                                     const proc::CensusSample& census) const;
  /// Takes tokens itself, as far as it can be told without seeing its calls.
  [[nodiscard]] bool is_client(const BuildView& view, const proc::CensusRow& row) const;
  [[nodiscard]] std::vector<control::FamilyMember> family_of(const BuildView& view,
                                                             const proc::CensusSample& census);
  /// Nobody has waited for it in kZombiePause: nobody is about to return a token for it.
  [[nodiscard]] bool is_forgotten(const proc::CensusRow& row, core::Instant now);
  [[nodiscard]] control::Movement movement_of(const proc::CensusSample& census);
  /// `movement`: of a build that `lacks` slots.
  void look_for_slots(const BuildView& view, const proc::CensusSample& census, bool lacks,
                      control::Movement movement, const Figures& figures, Verdict* verdict);
  void look_at_limits(const BuildView& view, const proc::CensusSample& census, Verdict* verdict);
  void look_for_halted(const BuildView& view, const proc::CensusSample& census, bool lacks,
                       control::Movement movement, Verdict* verdict);

  StandstillConfig config_;
  proc::CensusRates rates_;
  control::LostTokens lost_;
  std::map<core::ProcessId, core::Instant> zombies_;  ///< since when they have been seen
  MovementWatch movement_;
  control::Standstill still_;
  control::Standstill idle_;  ///< while nobody lacks a slot
  LimitWatch limits_;
  core::Instant due_;
  core::Instant stroll_;  ///< when to look at processes without a reason
};

}  // namespace tokenpool::watch
