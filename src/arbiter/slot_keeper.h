// How many slots a run has: those that somebody has set, else, where the pool is elastic, those
// that the machine leaves, less what is withheld on account of processes that ignore the pool. And
// what is done while more are in use than there are, and while nothing moves.
#pragma once

#include <optional>
#include <vector>

#include "arbiter/accused_rows.h"
#include "arbiter/frozen_jobs.h"
#include "arbiter/run_parts.h"
#include "core/lease_pool.h"
#include "core/slot_range.h"
#include "session/dispatcher.h"
#include "watch/billing_watch.h"
#include "watch/build_view.h"
#include "watch/elastic.h"
#include "watch/enforcement_watch.h"
#include "watch/lost_watch.h"
#include "watch/standstill_watch.h"
#include "wire/protocol_results.h"

namespace tokenpool::arbiter {

/// What the pool of a run begins with: what was set last, if an arbiter before this one published
/// it.
board::Settings settings_of(const board::Begin& begin, const board::Settings& published);
/// Tokens of a pool with these settings.
int tokens_of(const board::Settings& settings);
/// Whether the ledger of such a run knows who holds what.
bool is_tracked(const board::Begin& begin);

/// One thread, the arbiter's. Neither copies nor moves.
class SlotKeeper {
 public:
  /// `leases` and `sessions` outlive it.
  SlotKeeper(const RunParts& parts, const core::LeasePool* leases,
             const session::Dispatcher* sessions, const board::Settings& settings,
             core::Instant now);
  SlotKeeper(const SlotKeeper&) = delete;
  SlotKeeper& operator=(const SlotKeeper&) = delete;

  /// So many from now on, whatever the machine does; 1..kMaxSlots.
  void set(int slots, core::Instant now);
  void set_paused(bool paused, core::Instant now);
  /// A watched process has ended.
  void process_ended(core::ProcessId who, core::Instant now);
  void advance(core::Instant now);
  [[nodiscard]] std::optional<core::Instant> next_deadline() const;
  /// Nobody is accused, pays, stands still or is stuck any more.
  void command_ended(core::Instant now);

  [[nodiscard]] const board::Settings& settings() const { return settings_; }
  /// Within which they follow the machine.
  [[nodiscard]] core::SlotRange range() const;
  /// Tokens that clients have; where nobody's calls are seen, those of the lost that were minted
  /// anew left out. Negative: more is there than was issued, or lent than taken.
  [[nodiscard]] int tokens_out() const;
  [[nodiscard]] std::vector<wire::UncooperativeRow> uncooperative(core::Instant now) const {
    return accused_.status(now);
  }
  [[nodiscard]] int frozen_jobs() const { return enforcement_ ? enforcement_->frozen() : 0; }

 private:
  void start_rescue(core::Instant now);
  [[nodiscard]] watch::BuildView view(core::Instant now);
  void fill_in_figures(watch::BuildView* view) const;
  // Each carries out what its watcher has found.
  void follow_the_machine(watch::BuildView* view);
  void bill(watch::BuildView* view);
  void enforce(watch::BuildView* view);
  void carry_out(const watch::Verdict& verdict, watch::BuildView* view);
  void follow_accused(core::Instant now);
  void withhold(core::Instant now);
  void adjust_issued(core::Instant now);

  RunParts parts_;
  const core::LeasePool& leases_;
  const session::Dispatcher& sessions_;
  board::Settings settings_;
  bool tracked_;
  std::optional<watch::Elastic> elastic_;               ///< while the slots follow the machine
  std::optional<watch::BillingWatch> billing_;          ///< while the command runs
  std::optional<watch::LostWatch> lost_;                ///< the same, where no calls are seen
  std::optional<watch::StandstillWatch> rescue_;        ///< the same
  std::optional<watch::EnforcementWatch> enforcement_;  ///< the same, with --enforce
  std::optional<FrozenJobs> frozen_;                    ///< the same
  watch::BuildWalks walks_;
  AccusedRows accused_;
  bool told_frozen_ = false;
};

}  // namespace tokenpool::arbiter
