// Who is who in a build: which process a stopped thread belongs to, who its parents are, whose
// children an ended process leaves, and who inherits its tokens. Everybody who comes into view is
// watched and has an account from then on.
#pragma once

#include <optional>
#include <unordered_set>
#include <vector>

#include <sys/types.h>

#include "core/pool.h"
#include "host/watchlist.h"
#include "proc/process.h"

namespace tokenpool::host {

/// One thread, the arbiter's. Borrows both references.
class Kinship {
 public:
  /// `front`: the root of the build and its subreaper; its present children are nobody's orphans.
  Kinship(pid_t front, Watchlist& watched, core::Pool& pool);

  /// The process of a thread that is stopped in a call. Nothing when it has died meanwhile or there
  /// is no descriptor left to look with.
  std::optional<core::ProcessId> identify(pid_t thread);
  /// Brings process `pid` into view. Nothing as for identify().
  std::optional<core::ProcessId> adopt(pid_t pid);

  /// The children that `process`, which has just ended, leaves behind as its jobs. The front is the
  /// subreaper, so they are the front's now; a daemon, which left its session, was nobody's job.
  std::vector<core::ProcessId> orphans_of(const WatchedProcess& process);
  /// The nearest living one of `ancestors`.
  std::optional<core::ProcessId> living_of(const std::vector<core::ProcessId>& ancestors);
  /// All processes that have `file` open, but the front and the caller.
  std::vector<core::ProcessId> openers_of(const proc::FileId& file);

 private:
  pid_t front_;
  Watchlist& watched_;
  core::Pool& pool_;
  std::unordered_set<pid_t> known_orphans_;
};

}  // namespace tokenpool::host
