#include <cerrno>

#include <sys/resource.h>

#include "proc/niceness.h"

namespace tokenpool::proc {

void raise_niceness(int niceness) {
  errno = 0;
  const int now = ::getpriority(PRIO_PROCESS, 0);
  if (errno == 0 && now < niceness) (void)::setpriority(PRIO_PROCESS, 0, niceness);
}

}  // namespace tokenpool::proc
