// What whoever watches a build is shown of it: what the pools say, who answers for what, and its
// processes. Made once a tick, for all that look in it; each answers what is to be done
// (watch/verdict.h).
#pragma once

#include <optional>
#include <unordered_map>
#include <vector>

#include <sys/types.h>

#include "core/lease_pool.h"
#include "core/pool.h"
#include "proc/build_mark.h"
#include "proc/census.h"

namespace tokenpool::watch {

/// The processes of a build in this tick.
class Walks {
 public:
  virtual ~Walks() = default;
  virtual const proc::CensusSample& walk() = 0;
};

/// Walked once a tick at the most, when the first one wants to see them. One thread. Neither copies
/// nor moves.
class BuildWalks final : public Walks {
 public:
  /// `exempt` and all below it are no part of the build, see proc::Census. `mark`: not 0: only
  /// those that carry it are.
  explicit BuildWalks(pid_t exempt = 0, proc::BuildMark mark = 0) : exempt_(exempt), mark_(mark) {}

  /// The tick of `now` begins, for the build below `root`. What nobody has wanted to see for some
  /// time is not kept open any longer.
  void begin(pid_t root, core::Instant now);
  const proc::CensusSample& walk() override;

 private:
  pid_t exempt_;
  proc::BuildMark mark_;
  pid_t root_ = 0;
  core::Instant now_{};
  std::optional<proc::Census> census_;  ///< of root_
  std::optional<proc::CensusSample> last_;
};

/// All that it points to outlives it.
struct BuildView {
  core::Instant now{};
  const core::LeasePool* leases = nullptr;
  /// Of sessions that hold a lease or want one: their processes, as far as they are known.
  std::unordered_map<core::SessionId, core::ProcessId> processes{};
  pid_t root = 0;  ///< the parent of the command, and of what is left behind
  Walks* walks = nullptr;

  // Of a run; `serve` has no tokens.
  const core::Pool* pool = nullptr;
  bool tracked = false;    ///< the ledger knows who holds what
  int out = 0;             ///< tokens that clients have and that were not lost before
  int in_use = 0;          ///< slots, the implicit one included
  int needed = 0;          ///< slots that somebody needs at once: fewer would let him wait for ever
  int allowed = 1;         ///< slots that there are
  bool exhausted = false;  ///< no slot is free: somebody may wait for one
  int frozen = 0;          ///< jobs that are made to stand still
  bool may_freeze = true;
  std::vector<core::ProcessId> accused{};  ///< of ignoring the pool

  [[nodiscard]] const proc::CensusSample& walk() const { return walks->walk(); }
  /// The process that answers for a lease; pid 0: it is not known.
  [[nodiscard]] core::ProcessId holder_of(const core::Lease& lease) const;
  /// The process of a session, else the client that it asks for.
  [[nodiscard]] core::ProcessId asker_of(core::SessionId session, core::ProcessId client) const;
  /// Somebody of `family` may wait for a token, as far as the leases do not tell.
  [[nodiscard]] bool may_wait(const std::vector<proc::CensusRow>& family) const;
};

/// A view of `leases` as they stand; `process_of(SessionId)` answers an optional process.
template <typename ProcessOf>
BuildView view_of(const core::LeasePool& leases, core::Instant now, const ProcessOf& process_of) {
  BuildView view{.now = now, .leases = &leases};
  const auto add = [&](core::SessionId session) {
    if (session == 0) return;
    if (const auto process = process_of(session)) view.processes.try_emplace(session, *process);
  };
  for (const auto& [id, lease] : leases.leases()) add(lease.session);
  for (const core::LeaseRequest* request : leases.waiting()) add(request->session);
  return view;
}

}  // namespace tokenpool::watch
