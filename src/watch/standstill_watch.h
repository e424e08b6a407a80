// Slots that will not come back: tokens that were lost where nobody's calls are seen
// (control/lost_tokens.h), and the last resort for a build that stands still
// (control/standstill.h). In both cases the pool gets a token in their place; this class has the
// eyes. For whoever waits for the limit of a type see watch/limit_watch.h. Where nobody waits for a
// slot, and the build stands still because one of its processes is halted, that one is named, and
// that is all.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include <sys/types.h>

#include "board/board_log.h"
#include "control/lost_tokens.h"
#include "control/standstill.h"
#include "core/lease_pool.h"
#include "core/pool.h"
#include "proc/build_mark.h"
#include "proc/census.h"
#include "watch/census_tree.h"
#include "watch/limit_watch.h"
#include "watch/movement_watch.h"

namespace tokenpool::watch {

/// What it looks at. All outlive it.
struct StandstillWatchContext {
  core::Pool* pool = nullptr;
  core::Effects* effects = nullptr;  ///< of `pool`
  std::function<void()> apply;       ///< carries `effects` out
  const core::LeasePool* leases = nullptr;
  std::function<int()> out;            ///< tokens that clients have and that were not lost before
  std::function<bool()> is_exhausted;  ///< no slot is free
  std::function<core::ProcessId(const core::Lease&)> holder_of;
  /// Whether a process takes tokens itself, as far as it can be told without seeing its calls.
  std::function<bool(core::ProcessId)> is_client;
  /// Whether it waits in a read for a token.
  std::function<bool(core::ProcessId)> waits_to_read;
  std::function<pid_t()> root;          ///< of the build: the front, or who adopts what it left
  proc::BuildMark left_mark = 0;        ///< not 0: the front is gone, these below `root` are meant
  bool tracked = false;                 ///< the ledger knows who holds what
  std::chrono::nanoseconds patience{};  ///< with a build that stands still; 0: no end of it
  std::function<bool()> has_frozen;     ///< some are made to stand still
  board::BoardLog* log = nullptr;       ///< names of those that are stuck go there
  std::function<void()> tell;           ///< there is one more of them
};

/// One thread, the arbiter's, which is no part of the build. Neither copies nor moves.
class StandstillWatch {
 public:
  StandstillWatch(StandstillWatchContext context, core::Instant now);

  /// When step() is due: every second, for the price of a look at the pool; where nobody's calls
  /// are seen twice as often, and four times while tokens seem to be lost.
  [[nodiscard]] core::Instant due() const { return due_; }
  /// Looks; at the processes only while all slots are taken, somebody waits for a lease, tokens are
  /// out of which nobody knows who has them, or the build stands still; else now and then, whether
  /// it does (not at those that it left behind). A walk that costs much makes the pause longer.
  void step(core::Instant now);

 private:
  [[nodiscard]] proc::CensusSample walk(core::Instant now);
  /// By its user, on purpose.
  [[nodiscard]] bool is_stopped(const proc::CensusSample& census) const;
  /// Somebody lacks slots that others have.
  [[nodiscard]] bool lacks_slots() const;
  /// The same where no calls are seen, of whoever waits in a read with one slot.
  [[nodiscard]] bool is_asked_unseen(const proc::CensusSample& census) const;
  /// Some of them may get a token that they read without being seen.
  [[nodiscard]] bool may_wait(const std::vector<proc::CensusRow>& family) const;
  [[nodiscard]] std::vector<control::FamilyMember> family_of(const proc::CensusSample& census,
                                                             core::Instant now);
  /// Nobody has waited for it in kZombiePause: nobody is about to return a token for it.
  [[nodiscard]] bool is_forgotten(const proc::CensusRow& row, core::Instant now);
  [[nodiscard]] control::Movement movement_of(const proc::CensusSample& census);
  /// `movement`: of a build that `lacks` slots.
  void look_for_slots(const proc::CensusSample& census, bool lacks, control::Movement movement,
                      core::Instant now);
  void look_at_limits(const proc::CensusSample& census, core::Instant now);
  void look_for_halted(const proc::CensusSample& census, bool lacks, control::Movement movement,
                       core::Instant now);
  void take_back_surplus(core::Instant now);
  void mint(int count, bool known, core::Instant now);
  void name_stuck(const proc::CensusSample& census);

  StandstillWatchContext context_;
  std::optional<proc::Census> census_;
  pid_t counted_ = 0;  ///< the root of census_
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
