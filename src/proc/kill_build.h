// Ends every process of a build, by what marks them: a limit, their environment, the FIFO, their
// family.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "proc/build_group.h"
#include "proc/build_mark.h"
#include "proc/process.h"

namespace tokenpool::proc {

struct BuildMarks {
  BuildMark mark = 0;
  std::string assignment;  ///< "NAME=value" in the environment of the build's processes
  FileId fifo;             ///< ... and open in those that inherited it, under one of these numbers;
  int read_end = -1;       ///< a stranger that opened it by its path has it under another one
  int write_end = -1;
};

/// SIGKILLs whoever is in `group`, the processes that carry a mark and all their descendants, again
/// until none is found or `nobody_left` says so. `pause` waits between two rounds for the dead to
/// go; it may return early.
void kill_build(const BuildGroup& group, const BuildMarks& marks,
                const std::function<bool()>& nobody_left,
                const std::function<void(int pause_ms)>& pause);

/// SIGKILLs all living descendants of the caller but `exempt`, again until none is left. `reap` is
/// called after each round to collect the dead.
void kill_descendants(const std::vector<pid_t>& exempt, const std::function<void()>& reap);

}  // namespace tokenpool::proc
