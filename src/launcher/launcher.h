// The launcher, `tokenpool exec`: the parent of one job. It takes a lease for the job, runs it, and
// gives the lease back however the job ends.
//
// From the moment before the job executes, the lease belongs to the job's process where the arbiter
// can see that; so a launcher that is killed leaves neither a job without a lease nor a lease
// without a job. One thread, which must be the process's only one (it forks).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenpool/client.hpp"
#include "wire/error.h"

namespace tokenpool::launcher {

/// By which OpenMP, Go, Rust's Rayon and pytest-xdist are told how many threads or processes to
/// use.
inline constexpr std::string_view kWidthVariables =
    "OMP_NUM_THREADS,GOMAXPROCS,RAYON_NUM_THREADS,PYTEST_XDIST_AUTO_NUM_WORKERS";

struct LaunchConfig {
  std::vector<std::string> command;  ///< not empty; with {slots} in its arguments
  client::Wanted wanted;             ///< without pid
  /// The job runs with one slot of no pool when an arbiter that lives has not answered for so long;
  /// none: it is waited for.
  std::optional<client::Milliseconds> alone_after;
  int nice = 0;              ///< the job's niceness is at least this, 0 to 19
  bool opam = false;         ///< the job gets opam's extended jobserver (opam_pipes.h)
  bool tells_width = false;  ///< other tools are told the number of slots, too, in the variables
  std::string width_for{kWidthVariables};  ///< ... of these names, with commas between them
  bool verbatim = false;                   ///< {slots} in an argument stays as it is
  bool quiet = false;                      ///< nothing is said but errors
  bool waits_silently = false;             ///< nothing is said of who is waited for
  /// All that the job starts is part of it: TOKENPOOL_WRAPPED repeats the lease in its environment,
  /// and shims of `run --wrap` ask for nothing as long as both are the same.
  bool whole = false;
};

/// An argument as the job gets it: {slots} becomes the number, {{slots}} becomes {slots}. Pure.
std::string with_slots(std::string_view word, int slots);

/// Runs the job and answers the status to exit with: the job's, or 128 + the signal that ended it.
/// The job has this process's group, session, standard descriptors, signal mask and dispositions,
/// and in its environment TOKENPOOL_SLOTS and, unless no arbiter knows the lease, TOKENPOOL_LEASE.
/// With `tells_width`, the number of slots also stands in the variables that `width_for` names, but
/// for those that are set already.
///
/// Signals: while it waits for slots they do to this process what they would do to any. While the
/// job runs, those that would end this process are passed on to the job instead, but for what the
/// terminal sends, which reaches the job by itself.
///
/// Without an arbiter and a jobserver the job has one slot, and one line on stderr says so
/// (launcher_notice.h). An arbiter that lives but does not answer (it is stopped, or has no room
/// for one more client) is waited for, as `alone_after` says. When it has waited for five seconds,
/// and seldom then, one line says who holds the slots: on a terminal for one of those in a process
/// group, elsewhere as for the other line. With `quiet` none of them is said. Errors: 125 no lease
/// (the arbiter refuses, wanted.timeout is over) or no resources, then no job was started; 126 and
/// 127 as
/// cannot_execute() tells.
wire::Result<int> launch(const LaunchConfig& config);

}  // namespace tokenpool::launcher
