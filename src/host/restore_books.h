// A new arbiter takes over the books of one that died, from the board that both share.
#pragma once

#include <sys/types.h>

#include "core/pool.h"
#include "host/board_log.h"
#include "host/kinship.h"
#include "host/watchlist.h"
#include "jobserver/fifo.h"
#include "jobserver/seccomp.h"

namespace tokenpool::host {

struct BookKeepers {
  const jobserver::Fifo& fifo;
  const jobserver::Listener& listener;
  Kinship& kin;
  Watchlist& watched;
  core::Pool& pool;  ///< that has seen no event
  pid_t front = 0;
};

/// Restores the pool from what is left behind: accounts (those of processes that live are watched
/// from now on, those of the dead are closed), what is lent, and the step that was under way, whose
/// byte may have been moved and not booked. Bytes of the FIFO that nobody was told of go back. The
/// reads that waited are the caller's business.
void restore_books(const BookKeepers& keepers, LeftBehind* left, core::Instant now,
                   core::Effects* effects);

}  // namespace tokenpool::host
