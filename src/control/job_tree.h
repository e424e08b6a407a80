// The jobs of a build, as they are seen in its process tree, for whoever has to choose among them
// (control/enforcement.h). Pure.
//
// A process coordinates if it starts jobs: a client of the pool, whoever holds or wants a lease,
// and those that are known by name (make, ninja, cargo, xargs ...). A job is the tree below a child
// of a coordinator, up to the next coordinator: below `make` it is `sh -c`, gcc, cc1 and as, or
// cc1plus alone. The processes in it that have no children are what works for it, its leaves.
//
// Whether a job may be stopped (facts/scheduling.md 3.4: leaf compilers only, for frozen jobs may
// hold locks): each leaf is a program that only computes. None is the command itself, a
// coordinator, a shell, a launcher or cache (ccache holds locks), an interpreter or a JVM, which
// may run a build tool; none is below flock(1), or below what would see it stop (a shell with job
// control, sudo, a debugger); and nobody else has stopped one. Orphans and daemons, which serve
// others, are no jobs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/process_id.h"

namespace tokenpool::control {

struct TreeProcess {
  core::ProcessId who;
  std::int32_t parent = 0;
  std::int32_t group = 0;
  std::string name;            ///< of the program, 15 bytes at most
  bool stopped = false;        ///< by a signal or a debugger
  bool blocked = false;        ///< waits for a disk: it stops later
  bool signalled = false;      ///< a signal waits for it to go on
  bool coordinates = false;    ///< a client of the pool, or with a lease or a wish for one
  bool waits = false;          ///< ... and gets on when it has that lease
  bool uncooperative = false;  ///< ignores the pool
  int slots = 0;               ///< that it holds for a job, the most; 0: it has a token for each
  friend bool operator==(const TreeProcess&, const TreeProcess&) = default;
};

struct TreeJob {
  core::ProcessId root;
  std::vector<core::ProcessId> leaves;  ///< not empty
  int slots = 1;                        ///< that it uses while it runs
  bool freezable = false;               ///< as said above, but for `stopped`
  bool stopped = false;                 ///< one of its leaves is
  bool coordinator_stopped = false;     ///< the user has stopped the build: Ctrl-Z
  friend bool operator==(const TreeJob&, const TreeJob&) = default;
};

/// A shell, by the name of its program.
bool is_shell(std::string_view name);

/// The jobs below `front`, whose oldest child is the command; oldest first. What is at or below a
/// process that ignores the pool is left out: it is paid for, and frozen it would look as if it had
/// stopped. So is what waits for a lease, and what no longer descends from the command.
std::vector<TreeJob> jobs_of(const std::vector<TreeProcess>& processes, std::int32_t front);

}  // namespace tokenpool::control
