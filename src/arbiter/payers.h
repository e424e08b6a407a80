// Who pays for a lease's first slot: the lease that its client runs under, the client of tokens
// that started it, or the slot that the command of the run has without a token. The nearest one
// does.
#pragma once

#include <optional>

#include "arbiter/run_parts.h"
#include "core/lease_pool.h"
#include "session/dispatcher.h"

namespace tokenpool::arbiter {

/// One thread, the arbiter's.
class Payers {
 public:
  /// `leases` and `sessions` outlive it; they may be constructed later. `tracked`: the ledger knows
  /// who holds what.
  Payers(const RunParts& parts, const core::LeasePool* leases, const session::Dispatcher* sessions,
         bool tracked)
      : parts_(parts), leases_(*leases), sessions_(*sessions), tracked_(tracked) {}

  /// See session::DispatcherWorld::standing().
  [[nodiscard]] session::Standing standing(std::optional<core::ProcessId> process,
                                           core::LeaseId under, bool launcher) const;
  /// Of how many leases that payer pays the first slot now.
  [[nodiscard]] int covered(const core::Payer& payer) const;

  /// Whether the command's own slot is free is to be known: somebody asks on its account, or a
  /// client of tokens has ended.
  void look_at_root(core::Instant now);
  /// A client that nobody took a lease for may have come into view; looks at no process.
  void recheck_root();
  /// When look_at_root() is to be called again, because it would not look at all processes at once.
  [[nodiscard]] std::optional<core::Instant> next_look() const;

 private:
  [[nodiscard]] core::Payer payer_of(core::ProcessId process, core::LeaseId under) const;
  /// Whether that process pays for its children with tokens.
  [[nodiscard]] bool is_client(core::ProcessId who) const;
  /// Whether that process runs under the lease or holds it.
  [[nodiscard]] bool is_of(core::LeaseId lease, core::ProcessId process) const;
  [[nodiscard]] core::LeaseId lease_of(core::ProcessId process) const;
  [[nodiscard]] bool root_has_client() const;

  RunParts parts_;
  const core::LeasePool& leases_;
  const session::Dispatcher& sessions_;
  bool tracked_;
  bool root_is_free_ = false;
  core::Instant look_due_{};      ///< when all processes may be looked at again
  bool look_is_missing_ = false;  ///< the root may be free, and nobody has looked since
};

}  // namespace tokenpool::arbiter
