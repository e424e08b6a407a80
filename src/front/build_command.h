// Starts the build's first process, stopped right before its execution, so that filter, arbiter and
// listener are in place before it can make its first call.
#pragma once

#include <string>
#include <vector>

#include <signal.h>
#include <sys/types.h>

#include "proc/build_mark.h"
#include "wire/error.h"

namespace tokenpool::front {

struct CommandSpec {
  std::vector<std::string> argv;
  std::vector<std::string> environment;  ///< "NAME=value"; PATH in it is where argv[0] is looked up
  int read_end = -1;  ///< inherited by the build, close-on-exec is taken off in it
  int write_end = -1;
  int group = -1;               ///< of the control group to start in, see BuildGroup::fd(); or -1
  proc::BuildMark mark = 0;     ///< carried by the build
  bool track = true;            ///< install the seccomp filter
  bool exits = false;           ///< ... which stops exits, too
  bool own_group = false;       ///< a process group of its own
  int nice = 0;                 ///< the least niceness of the build
  sigset_t mask{};              ///< the signal mask that it starts with
  bool default_sigpipe = true;  ///< SIGPIPE back to its default
  bool default_sigxfsz = true;  ///< likewise (ulimit -f must not end us)
};

struct StartedCommand {
  pid_t pid = 0;
  bool in_group = false;  ///< it was started in CommandSpec::group
  int listener = -1;      ///< close-on-exec; -1 without tracking
  int filter_error = 0;   ///< errno why there is no listener, 0 if none was wanted
  int link = -1;          ///< to release_command()
};

/// Forks; the child waits for release_command(). Error 125 when no process or descriptor is left.
wire::Result<StartedCommand> start_command(const CommandSpec& spec);

/// Lets the command execute; closes the link. Error 127 when it is not found, 126 when it cannot be
/// executed; the child ends then with the same status.
wire::Result<void> release_command(const CommandSpec& spec, const StartedCommand& command);

}  // namespace tokenpool::front
