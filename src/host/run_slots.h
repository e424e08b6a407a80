// How many slots a run has: those that somebody has set, else, where the pool is elastic, those
// that the machine leaves, less what is withheld on account of processes that ignore the pool. And
// what is done while more are in use than there are, and while nothing moves.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "core/effect.h"
#include "core/lease_pool.h"
#include "core/pool.h"
#include "core/slot_range.h"
#include "host/arbiter.h"
#include "host/board_log.h"
#include "host/elastic.h"
#include "host/run_billing.h"
#include "host/run_enforcement.h"
#include "host/run_rescue.h"
#include "wire/protocol_results.h"

namespace tokenpool::host {

/// What they are made of. All outlive them.
struct RunSlotsContext {
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
  const ArbiterConfig* config = nullptr;
  const Begin* begin = nullptr;
  /// See RunRescueContext.
  std::function<bool(core::ProcessId)> is_client;
  std::function<pid_t()> root;  ///< of the build, see Kinship::root()
  BoardLog* log = nullptr;      ///< for those that ignore the pool or are stuck
  std::function<void()> tell;   ///< there is one more of them on the board
};

/// What the pool of a run begins with: what was set last, if an arbiter before this one published
/// it.
Settings settings_of(const Begin& begin, const Settings& published);
/// Tokens of a pool with these settings.
int tokens_of(const Settings& settings);
/// Whether the ledger of such a run knows who holds what.
bool is_tracked(const Begin& begin);

/// One thread, the arbiter's. Neither copies nor moves.
class RunSlots {
 public:
  RunSlots(RunSlotsContext context, const Settings& settings, core::Instant now);
  RunSlots(const RunSlots&) = delete;
  RunSlots& operator=(const RunSlots&) = delete;

  /// So many from now on, whatever the machine does; 1..kMaxSlots.
  void set(int slots, core::Instant now);
  void set_paused(bool paused, core::Instant now);
  /// A watched process has ended.
  void process_ended(core::ProcessId who, core::Instant now);
  void advance(core::Instant now);
  [[nodiscard]] std::optional<core::Instant> next_deadline() const;
  /// Nobody is accused, pays, stands still or is stuck any more.
  void command_ended(core::Instant now);

  [[nodiscard]] const Settings& settings() const { return settings_; }
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
  [[nodiscard]] PoolUse use() const;
  void follow_the_machine(core::Instant now);
  void withhold(core::Instant now);
  void adjust_issued(core::Instant now);

  RunSlotsContext context_;
  Settings settings_;
  bool tracked_;
  std::optional<Elastic> elastic_;             ///< while the slots follow the machine
  std::optional<RunBilling> billing_;          ///< while the command runs
  std::optional<RunRescue> rescue_;            ///< the same
  std::optional<RunEnforcement> enforcement_;  ///< the same, with --enforce
};

}  // namespace tokenpool::host
