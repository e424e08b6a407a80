// Who is who in a build: which process a stopped thread belongs to, who its parents are, whose
// children an ended process leaves, and who inherits its tokens. Everybody who comes into view is
// watched and has an account from then on.
#pragma once

#include <array>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include <sys/types.h>

#include "core/pool.h"
#include "proc/process.h"
#include "proc/watchlist.h"

namespace tokenpool::arbiter {

/// One thread, the arbiter's. Borrows both references.
class Kinship {
 public:
  /// `front`: the root of the build and its subreaper; its present children are nobody's orphans.
  /// `guardian`: a child that it leaves behind when it ends; 0: it stays.
  Kinship(pid_t front, pid_t guardian, proc::Watchlist& watched, core::Pool& pool);

  /// The parent of those that their parents leave behind: the front, or who adopts its children
  /// when it has ended.
  pid_t root() const;

  /// The process of a thread that is stopped in a call. Nothing when it has died meanwhile or there
  /// is no descriptor left to look with.
  std::optional<core::ProcessId> identify(pid_t thread);
  /// Brings process `pid` into view. Nothing as for identify().
  std::optional<core::ProcessId> adopt(pid_t pid);

  /// Whether `who`, a living process of the build, takes tokens for its children: it holds some,
  /// has made calls that were seen, or is known for it by its name.
  bool is_client(core::ProcessId who) const;
  /// Brings all processes of the build into view that are known for clients by their names.
  void look_for_clients();

  /// Process `pid` adopts from now on those that are left behind below it (PR_SET_CHILD_SUBREAPER).
  /// Its present children are nobody's orphans. The first process of a pid namespace, which does
  /// so, too, is found when somebody below it comes into view.
  void add_subreaper(pid_t pid);

  /// The children that `process`, which has just ended, leaves behind as its jobs. They are now
  /// those of the nearest living subreaper above it, which is root() at the latest; a daemon, which
  /// left its session, was nobody's job. Of a subreaper that starts children itself, one that it
  /// has just started may be among them.
  std::vector<core::ProcessId> orphans_of(const proc::WatchedProcess& process);
  /// The nearest living one of `ancestors`; one whose end is not settled yet lives.
  std::optional<core::ProcessId> living_of(const std::vector<core::ProcessId>& ancestors);
  /// Those in view that are not known for clients. The front, the guardian and the caller are left
  /// out.
  std::vector<core::ProcessId> unseen_callers() const;
  /// Who may have made a call on the FIFO that was neither seen nor announced: the processes that
  /// have it open under a number of their own (what is done on the `inherited` numbers is seen or
  /// announced) and are not known for clients, else all that have it open. The front, the guardian
  /// and the caller are left out.
  std::vector<core::ProcessId> likely_callers(const proc::FileId& fifo,
                                              const std::array<int, 2>& inherited);

 private:
  /// The front, the guardian or this process: it keeps no token.
  [[nodiscard]] bool is_ours(pid_t pid) const;
  void find_first_of_namespace(const std::vector<core::ProcessId>& ancestors, pid_t pid);
  [[nodiscard]] pid_t subreaper_above(core::ProcessId who) const;

  pid_t front_;
  pid_t guardian_;
  proc::Watchlist& watched_;
  core::Pool& pool_;
  std::uint64_t pid_namespace_;  ///< of this process
  /// Of each subreaper the children that are no orphans, or are known by now.
  std::unordered_map<pid_t, std::unordered_set<pid_t>> known_children_;
};

}  // namespace tokenpool::arbiter
