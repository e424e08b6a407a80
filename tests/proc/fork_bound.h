// For tests: a child that never outlives its parent, whatever ends that, and however soon.
#pragma once

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace tokenpool::proc {

/// As fork(2). The child is killed when the thread that called this ends. A parent that was dead
/// before the child could ask for that sends no signal (prctl(2), PR_SET_PDEATHSIG): the child
/// finds that it has another one by then.
inline pid_t fork_bound() {
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child != 0) return child;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(0);
  return 0;
}

}  // namespace tokenpool::proc
