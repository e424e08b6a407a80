// Processes of the build that ignore the pool: found, named and paid for. The law is
// control/billing.h, when it is worth a look control/census_pace.h; this class has the eyes.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "board/board_log.h"
#include "control/billing.h"
#include "control/census_pace.h"
#include "core/lease_pool.h"
#include "core/pool.h"
#include "proc/build_load.h"
#include "proc/census.h"
#include "proc/process.h"
#include "wire/protocol_results.h"

namespace tokenpool::watch {

/// What it looks at. All outlive it.
struct BillingWatchContext {
  const core::Pool* pool = nullptr;
  const core::LeasePool* leases = nullptr;
  std::function<core::ProcessId(const core::Lease&)> holder_of;
  std::function<int()> out;  ///< tokens that clients have, whoever they are
  std::string group;         ///< folder of the build's control group; empty: there is none
  pid_t front = 0;
  bool tracked = false;  ///< the ledger knows who holds what
  /// What starting it and waiting in it costs is nobody's job: exec and shims, many at a time.
  proc::FileId program;
  /// Who is accused is watched from then on, so that its slots are back with its end.
  std::function<void(core::ProcessId)> watch;
  board::BoardLog* log = nullptr;  ///< accusations go there, too, for the report
};

/// One thread, the arbiter's, which is no part of the build. Neither copies nor moves.
class BillingWatch {
 public:
  BillingWatch(BillingWatchContext context, core::Instant now);

  /// When step() is due: every half second. As a rule it costs some 5 us.
  [[nodiscard]] core::Instant due() const { return due_; }
  /// Looks. Answers whether somebody is accused anew.
  bool step(core::Instant now);
  /// A process that is watched has ended.
  void process_ended(core::ProcessId who, core::Instant now);
  /// Slots that the build has to do without, at present.
  [[nodiscard]] int withheld() const { return billing_.withheld(); }
  /// Who ignores the pool at present, first the one that was found first.
  [[nodiscard]] std::vector<wire::UncooperativeRow> accused(core::Instant now) const;
  /// ... as processes.
  [[nodiscard]] std::vector<core::ProcessId> accused_processes() const;
  /// The command has ended: who is accused was so to the end.
  void close(core::Instant now);

 private:
  struct Named {
    control::Accusation accusation;
    std::string command;
    std::size_t row = 0;  ///< on the board
  };

  [[nodiscard]] control::BillingSample sample_of(const proc::CensusSample& census,
                                                 std::vector<control::Holding> holdings,
                                                 int loose) const;
  [[nodiscard]] std::vector<control::Holding> holdings() const;
  [[nodiscard]] int loose() const;
  bool note_accusations(core::Instant now);

  BillingWatchContext context_;
  proc::BuildLoad load_;
  proc::Census census_;
  control::CensusPace pace_;
  control::Billing billing_;
  std::vector<Named> named_;
  core::Instant due_;
};

}  // namespace tokenpool::watch
