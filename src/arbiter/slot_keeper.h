// How many slots a run has: those that somebody has set, else, where the pool is elastic, those
// that the machine leaves, less what is withheld on account of processes that ignore the pool. And
// what is done while more are in use than there are, and while nothing moves.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "board/begin.h"
#include "board/board_log.h"
#include "core/effect.h"
#include "core/lease_pool.h"
#include "core/pool.h"
#include "core/slot_range.h"
#include "watch/billing_watch.h"
#include "watch/elastic.h"
#include "watch/enforcement_watch.h"
#include "watch/standstill_watch.h"
#include "wire/protocol_results.h"

namespace tokenpool::arbiter {

/// What they are made of. All outlive them.
struct SlotKeeperContext {
  core::Pool* pool = nullptr;
  core::Effects* effects = nullptr;  ///< of `pool`
  std::function<void()> apply;       ///< carries `effects` out
  std::function<int()> level;        ///< bytes in the FIFO
  std::function<int()> owed;         ///< ... that are too many when they come back
  const core::LeasePool* leases = nullptr;
  /// The process that answers for a lease, as far as it is known.
  std::function<core::ProcessId(const core::Lease&)> holder_of;
  std::function<std::optional<core::ProcessId>(core::SessionId)> process_of;
  /// process_ended() is to be called for it.
  std::function<void(core::ProcessId)> watch;
  const board::ArbiterConfig* config = nullptr;
  const board::Begin* begin = nullptr;
  /// See StandstillWatchContext.
  std::function<bool(core::ProcessId)> is_client;
  std::function<pid_t()> root;     ///< of the build, see Kinship::root()
  board::BoardLog* log = nullptr;  ///< for those that ignore the pool or are stuck
  std::function<void()> tell;      ///< there is one more of them on the board
};

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
  SlotKeeper(SlotKeeperContext context, const board::Settings& settings, core::Instant now);
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
  [[nodiscard]] std::vector<wire::UncooperativeRow> uncooperative(core::Instant now) const;
  [[nodiscard]] int frozen_jobs() const { return enforcement_ ? enforcement_->frozen() : 0; }

 private:
  void start_rescue(core::Instant now);
  void start_billing(core::Instant now);
  void start_enforcement(core::Instant now);
  [[nodiscard]] watch::PoolUse use() const;
  void follow_the_machine(core::Instant now);
  void withhold(core::Instant now);
  void adjust_issued(core::Instant now);

  SlotKeeperContext context_;
  board::Settings settings_;
  bool tracked_;
  std::optional<watch::Elastic> elastic_;               ///< while the slots follow the machine
  std::optional<watch::BillingWatch> billing_;          ///< while the command runs
  std::optional<watch::StandstillWatch> rescue_;        ///< the same
  std::optional<watch::EnforcementWatch> enforcement_;  ///< the same, with --enforce
};

}  // namespace tokenpool::arbiter
