// The processes whose end the arbiter waits for, each by its pidfd.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "proc/event_loop.h"
#include "proc/process.h"

namespace tokenpool::proc {

struct WatchedProcess {
  ProcessInfo info;
  std::string command;  ///< as it was when the process came into view, or at the last look_again()
  std::optional<int> exit_status;  ///< with which it ends by itself, see note_exit()
  bool has_called = false;         ///< see note_call()
};

/// One thread. Not movable: handlers point into it.
class Watchlist {
 public:
  /// `on_end` runs in the event loop, once for each process that ends while it is watched, with the
  /// pidfd still open; the process is off the list by then.
  using OnEnd = std::function<void(const WatchedProcess&, int pidfd)>;
  Watchlist(EventLoop& loop, OnEnd on_end);
  ~Watchlist();
  Watchlist(const Watchlist&) = delete;
  Watchlist& operator=(const Watchlist&) = delete;

  /// The watched process with this pid, if it still runs. Nullptr else; valid until the next call.
  [[nodiscard]] const WatchedProcess* find(pid_t pid) const;
  /// Watches `info` from now on. False when it has ended already. A process that cannot be watched
  /// for want of descriptors is looked at by sweep().
  bool add(const ProcessInfo& info);
  /// The same for exactly this process; false when its pid has another owner.
  bool add(core::ProcessId who);
  /// Reads the command line of `who` once more: a shell's helper comes into view before it has
  /// executed its program. Of one that has ended only the program's name is left, in brackets; one
  /// that somebody has waited for already, or that is not watched, keeps the line that it had.
  void look_again(core::ProcessId who);
  /// `who` makes a call that is seen. At the first one look_again(): it may have come into view
  /// before it executed its program, or while it did so, when it has no command line.
  void note_call(core::ProcessId who);
  /// Process `pid` is about to end with `status`; of one that is not watched it is forgotten.
  void note_exit(pid_t pid, int status);
  /// Reports every process that has ended by now and whose event has not come yet.
  void sweep();
  /// The same for one of them.
  void look_at(core::ProcessId who);
  [[nodiscard]] bool needs_sweeping() const { return unwatchable_ > 0; }

 private:
  struct Entry;
  static bool has_ended(Entry& entry);
  void report(pid_t pid);
  struct State;
  std::unique_ptr<State> state_;
  int unwatchable_ = 0;
};

}  // namespace tokenpool::proc
