#include <algorithm>
#include <cerrno>

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/freezer.h"
#include "proc/process.h"

namespace tokenpool::host {
namespace {

enum class Sent : std::uint8_t { yes, gone, refused };

// The descriptor names whoever has the pid when it is opened: if that is the one that is meant, it
// stays so.
Sent send_signal(core::ProcessId who, int signal) {
  const int pidfd = proc::open_pidfd(who.pid);
  if (pidfd < 0) return errno == ESRCH ? Sent::gone : Sent::refused;
  Sent sent = Sent::gone;
  if (proc::is_alive(who) && ::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) == 0) {
    sent = Sent::yes;
  } else if (proc::is_alive(who)) {
    sent = Sent::refused;
  }
  ::close(pidfd);
  return sent;
}

core::ProcessId who_of(const FrozenRow& row) { return {row.pid.load(), row.start.load()}; }

}  // namespace

bool Freezer::freeze(core::ProcessId who) {
  auto& rows = board_->frozen;
  const auto row =
      std::find_if(rows.begin(), rows.end(), [](const FrozenRow& one) { return one.pid == 0; });
  if (row == rows.end() || board_->freezes_no_more) return false;
  row->start = who.start;
  row->pid = who.pid;
  const Sent sent = send_signal(who, SIGSTOP);
  // One that has become the parent of a job would keep it from ending, or hold what it waits for.
  const bool wanted = !board_->freezes_no_more && proc::children_of(who.pid).empty();
  if (sent == Sent::yes && wanted) return true;
  if (sent == Sent::yes) (void)send_signal(who, SIGCONT);
  row->pid = 0;
  return sent == Sent::gone;
}

void Freezer::thaw(core::ProcessId who) {
  for (FrozenRow& row : board_->frozen) {
    if (who_of(row) != who) continue;
    (void)send_signal(who, SIGCONT);
    row.pid = 0;
  }
}

void thaw_all(Board* board, bool forget) {
  for (FrozenRow& row : board->frozen) {
    const core::ProcessId who = who_of(row);
    if (who.pid == 0) continue;
    (void)send_signal(who, SIGCONT);
    if (forget) row.pid = 0;
  }
}

}  // namespace tokenpool::host
