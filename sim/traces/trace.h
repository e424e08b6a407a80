// A recorded build, for replay.h.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace tokenpool::traces {

/// Times in seconds.
struct RecordedJob {
  double work = 0;          ///< CPU time; at least a tick of the simulation (machine.h)
  double wait = 0;          ///< for other things than a CPU
  std::vector<int> before;  ///< the jobs that have to have ended, by their places in the trace
};

/// In the order in which the tool that was recorded started them.
struct Trace {
  std::string name;
  std::vector<RecordedJob> jobs;

  [[nodiscard]] double work() const;  ///< of all jobs, as is the next
  [[nodiscard]] double wait() const;
  /// The longest chain of jobs that wait for each other, on an idle machine.
  [[nodiscard]] double longest_chain() const;
};

/// Of a file of either kind:
///  * A trace (record.py writes them), in lines: milliseconds of CPU time, milliseconds of waiting,
///    a name, and the places of the jobs before it, which stand in earlier lines; empty lines and
///    what begins with # are for people.
///  * A .ninja_log of version 5 or 6, of one run of ninja (its build/doc/manual and
///    src/build_log.cc). It does not tell CPU times, so all the time that a job took is taken for
///    such, nor who waits for whom: what is no object file is taken to need all that had ended
///    before it began.
/// Else std::nullopt, and one line on stderr that says what is wrong.
std::optional<Trace> read_trace(const std::string& path);

/// So many of them as one; the jobs of an earlier one come first, and none waits for another
/// build's.
Trace one_after_another(const Trace& trace, int builds);

}  // namespace tokenpool::traces
