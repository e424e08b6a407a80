#include <algorithm>

#include <signal.h>

#include "board/freezer.h"
#include "proc/process.h"
#include "proc/signal.h"

namespace tokenpool::board {
namespace {

core::ProcessId who_of(const FrozenRow& row) { return {row.pid.load(), row.start.load()}; }

}  // namespace

bool Freezer::freeze(core::ProcessId who) {
  auto& rows = board_->frozen;
  const auto row =
      std::find_if(rows.begin(), rows.end(), [](const FrozenRow& one) { return one.pid == 0; });
  if (row == rows.end() || board_->freezes_no_more) return false;
  row->start = who.start;
  row->pid = who.pid;
  const proc::Sent sent = proc::send_signal(who, SIGSTOP);
  // One that has become the parent of a job would keep it from ending, or hold what it waits for.
  const bool wanted = !board_->freezes_no_more && proc::children_of(who.pid).empty();
  if (sent == proc::Sent::yes && wanted) return true;
  if (sent == proc::Sent::yes) (void)proc::send_signal(who, SIGCONT);
  row->pid = 0;
  return sent == proc::Sent::gone;
}

void Freezer::thaw(core::ProcessId who) {
  for (FrozenRow& row : board_->frozen) {
    if (who_of(row) != who) continue;
    (void)proc::send_signal(who, SIGCONT);
    row.pid = 0;
  }
}

void thaw_all(Board* board, bool forget) {
  for (FrozenRow& row : board->frozen) {
    const core::ProcessId who = who_of(row);
    if (who.pid == 0) continue;
    (void)proc::send_signal(who, SIGCONT);
    if (forget) row.pid = 0;
  }
}

}  // namespace tokenpool::board
