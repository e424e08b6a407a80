// Who pays for a lease's first slot: the lease that its client runs under, the client of tokens
// that started it, or the slot that the command of the run has without a token. The nearest one
// does.
#pragma once

#include <optional>

#include "arbiter/kinship.h"
#include "board/begin.h"
#include "core/lease_pool.h"
#include "core/pool.h"
#include "session/dispatcher.h"

namespace tokenpool::arbiter {

/// What the answer is taken from. All outlive the Payers; `leases` and `sessions` may be
/// constructed after them.
struct PayersContext {
  const core::Pool* pool = nullptr;
  const core::LeasePool* leases = nullptr;
  const session::Dispatcher* sessions = nullptr;
  Kinship* kin = nullptr;
  const board::ArbiterConfig* config = nullptr;
  const board::Begin* begin = nullptr;
  bool tracked = false;  ///< the ledger knows who holds what
};

/// One thread, the arbiter's.
class Payers {
 public:
  explicit Payers(const PayersContext& context) : context_(context) {}

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

  /// Whether that process has the FIFO open.
  [[nodiscard]] bool uses_fifo(core::ProcessId who) const;

 private:
  [[nodiscard]] core::Payer payer_of(core::ProcessId process, core::LeaseId under) const;
  /// Whether that process pays for its children with tokens.
  [[nodiscard]] bool is_client(core::ProcessId who) const;
  /// Whether that process runs under the lease or holds it.
  [[nodiscard]] bool is_of(core::LeaseId lease, core::ProcessId process) const;
  [[nodiscard]] core::LeaseId lease_of(core::ProcessId process) const;
  [[nodiscard]] bool root_has_client() const;

  PayersContext context_;
  bool root_is_free_ = false;
  core::Instant look_due_{};      ///< when all processes may be looked at again
  bool look_is_missing_ = false;  ///< the root may be free, and nobody has looked since
};

}  // namespace tokenpool::arbiter
