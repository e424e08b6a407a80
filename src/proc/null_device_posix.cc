#include <fcntl.h>
#include <unistd.h>

#include "proc/null_device.h"

namespace tokenpool::proc {

void lead_nowhere(int fd) {
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) {
    ::close(fd);
  } else if (null == fd) {
    ::fcntl(fd, F_SETFD, 0);
  } else {
    ::dup2(null, fd);
    ::close(null);
  }
}

}  // namespace tokenpool::proc
