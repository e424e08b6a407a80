// The front: the process that the user started. It starts the command, owns terminal and signals,
// reaps the orphans of the build (it is their subreaper), starts a new arbiter when one dies, and
// returns when the command has ended.
//
// Signals. With a controlling terminal the command shares the front's process group, as a command
// of a shell does: the terminal's own signals reach the whole group and are not passed on, signals
// that somebody sends to the front alone are passed on to the build's processes in the group.
// Without a terminal the command gets a group of its own, and whatever the front receives goes to
// that group, once. A second SIGINT, SIGTERM, SIGHUP or SIGQUIT ends the build with SIGKILL; from
// the keyboard, where an interpreter may take Ctrl-C as a word among others, only if it comes
// within kKeyboardPatience. A command that stops itself in a group of its own, as a shell does that
// suspends, stops the front too, and goes on with it.
#pragma once

#include <optional>
#include <vector>

#include <signal.h>
#include <sys/types.h>

#include "front/arbiter_keeper.h"
#include "front/build_command.h"
#include "front/terminal.h"

namespace tokenpool::front {

struct CommandEnd {
  int wait_status = 0;   ///< of waitpid(2)
  int left_running = 0;  ///< processes of the build that live on
};

/// One per process; it blocks signals and becomes a subreaper. Neither copies nor moves.
class Front {
 public:
  Front();
  ~Front();
  Front(const Front&) = delete;
  Front& operator=(const Front&) = delete;

  /// Blocks the signals that it handles and makes the process a subreaper; fills in what
  /// start_command() needs of the state before. Error 125 when no descriptor is left.
  wire::Result<void> prepare(CommandSpec* spec);

  /// Ends the build with SIGKILL when the parent of this process ends, as a second SIGTERM would.
  /// Error 125 when no descriptor is left, or the parent cannot be watched.
  wire::Result<void> watch_parent();

  /// What the command leaves running is ended, by SIGKILL, before wait_for() returns.
  void leave_nothing() { leaves_nothing_ = true; }

  /// Forks the arbiter, which waits for begin(). From here on the arbiter removes what is on the
  /// disk when this process dies. Error 125 when no process or descriptor is left.
  wire::Result<void> start_arbiter(jobserver::Fifo* fifo, board::Board* board);

  /// Makes the build's control group, where one can be had: start_command() starts the command in
  /// it, or begin() moves it there.
  void make_group(CommandSpec* spec);

  /// Ends the arbiter, which has nothing to serve, so that another one can be started.
  void dismiss_arbiter();

  /// The process is again what it was before prepare() filled in `spec`.
  void restore(const CommandSpec& spec) const;

  /// Hands the FIFO, which exists by now, the command's listener and the sockets of the protocol
  /// (which stay the caller's, and open) to the arbiter and waits until it serves. Fills in what
  /// `begin` says of them. Error 125 when it cannot.
  wire::Result<void> begin(const StartedCommand& command, const board::Begin& begin,
                           const board::Attached& sockets);

  /// Serves signals and deaths until the command has ended and the arbiter has settled.
  CommandEnd wait_for(const StartedCommand& command);

  /// Says nothing of processes that ignore the pool, nor of jobs that are frozen.
  void be_quiet() { is_quiet_ = true; }

  /// There is no build to wait for: ends arbiter and command (if there is one) and reaps them.
  void abandon(const StartedCommand* command);

 private:
  void serve(int timeout_ms);
  void on_signal(int signal, int code);
  void on_control();
  void on_parent_gone();
  void end_with_parent();
  void end_leftovers();
  void tell_news();
  void tell_fifo_gone();
  void reap();
  void on_arbiter_death(int status);
  wire::Result<void> fork_arbiter();
  void pass_on(int signal);
  void thaw_for_good();
  void kill_all();
  void stop_self(int signal, bool from_terminal);
  void stop_with_command();
  void continue_build();
  bool is_of_build(pid_t child) const;
  int others_left() const;
  int count_left() const;
  void settle(char verdict);

  ArbiterKeeper keeper_;
  Terminal terminal_;
  sigset_t handled_{};
  sigset_t old_mask_{};
  int signals_ = -1;
  int parent_ = -1;  ///< pidfd
  bool own_group_ = false;
  pid_t command_ = 0;
  std::vector<pid_t> not_of_build_;  ///< what the shell that became this process had started
  std::optional<int> wait_status_;
  bool is_quiet_ = false;
  bool leaves_nothing_ = false;
  bool parent_gone_ = false;
  std::uint32_t told_ = 0;        ///< accusations on the board
  std::uint32_t told_stuck_ = 0;  ///< ... and those that are stuck
  bool told_frozen_ = false;      ///< that jobs stand still
  bool told_paused_ = false;
  bool told_fifo_gone_ = false;
  std::uint32_t told_users_ = 0;  ///< that processes go on as
  bool passed_stop_on_ = false;   ///< the last SIGTSTP reached the build through the front
  bool stopped_with_command_ = false;
  std::optional<int> early_signal_;  ///< came before there was a command to pass it on to
  std::int64_t last_signal_ns_ = 0;
};

}  // namespace tokenpool::front
