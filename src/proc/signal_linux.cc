#include <cerrno>

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proc/process.h"
#include "proc/signal.h"

namespace tokenpool::proc {

Sent send_signal_if(pid_t pid, int signal, const std::function<bool()>& is_meant) {
  const int pidfd = open_pidfd(pid);
  if (pidfd < 0 && errno == ESRCH) return Sent::gone;
  Sent sent = Sent::gone;
  if (is_meant()) {
    const long result = pidfd < 0 ? ::kill(pid, signal)
                                  : ::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0);
    if (result == 0) {
      sent = Sent::yes;
    } else if (errno != ESRCH) {
      sent = Sent::refused;
    }
  }
  if (pidfd >= 0) ::close(pidfd);
  return sent;
}

Sent send_signal(core::ProcessId who, int signal) {
  return send_signal_if(who.pid, signal, [who] { return is_alive(who); });
}

}  // namespace tokenpool::proc
