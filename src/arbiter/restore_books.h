// A new arbiter takes over the books of one that died, from the board that both share.
//
// The dead one wrote down what it was about to do. How far it came is told by the kernel (a call
// that has been answered is over) and by the FIFO (a byte is there or is not): what nobody but the
// dead one has seen is undone, the rest is booked.
#pragma once

#include <functional>

#include <sys/types.h>

#include "board/board_log.h"
#include "core/pool.h"
#include "jobserver/fifo.h"
#include "proc/watchlist.h"

namespace tokenpool::arbiter {

struct BookKeepers {
  const jobserver::Fifo& fifo;
  /// Whether the kernel still waits for the answer to a call.
  std::function<bool(core::RequestId)> is_waiting;
  /// Whether the thread of a write is stopped in such a one now.
  std::function<bool(const jobserver::Notification&)> is_writing;
  proc::Watchlist& watched;
  core::Pool& pool;  ///< that has seen no event
  pid_t root = 0;    ///< of the build: its processes are below it
};

/// Restores the pool from what is left behind: accounts (those of processes that live are watched
/// from now on, those of the dead are closed), who may have taken what nobody saw, what is lent,
/// and what was answered and not booked. Bytes that the dead one had taken out of the FIFO and
/// given to nobody go back, bytes that it put in for what is not booked come out. Until the pool is
/// published, doing it again answers the same. The calls that still wait are the caller's business.
void restore_books(const BookKeepers& keepers, board::LeftBehind* left, core::Instant now,
                   core::Effects* effects);

}  // namespace tokenpool::arbiter
