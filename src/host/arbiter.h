// The arbiter's process: it owns the pool, answers the stopped calls of the build's clients,
// watches their deaths, and keeps the board up to date. The front forks it; everything it needs is
// inherited.
//
// It ends when the front says that the build is over and nobody is left, or, when processes stay
// that the build left on purpose, as soon as the last of them has ended. When the front dies first,
// it ends the whole build and removes what is on the disk.
#pragma once

#include <string>

#include <sys/types.h>

#include "host/board.h"
#include "jobserver/fifo.h"

namespace tokenpool::host {

struct ArbiterConfig {
  jobserver::Fifo* fifo = nullptr;
  Board* board = nullptr;
  int listener = -1;  ///< of the seccomp filter; -1: inference, the FIFO is left to itself
  int control = -1;   ///< SOCK_SEQPACKET to the front
  pid_t front = 0;
  int read_end = -1;  ///< the descriptor numbers that the build inherited
  int write_end = -1;
  int issued = 0;       ///< tokens that the FIFO was filled with
  bool resume = false;  ///< an arbiter died before this one: go on from the board
  bool bypass = false;  ///< arbiters keep dying: let every call through as if there were none
};

/// Words on the control socket. Front to arbiter: kAllEnded or kSomeLeft, once, when CMD has ended.
/// Arbiter to front: kSettled, when the board holds the final figures; kNote and a line for stderr.
inline constexpr char kAllEnded = 'E';
inline constexpr char kSomeLeft = 'L';
inline constexpr char kSettled = 'S';
inline constexpr char kNote = 'N';

/// Runs the arbiter in the calling process and answers its exit status. Does not touch the
/// terminal.
int arbiter_main(const ArbiterConfig& config);

}  // namespace tokenpool::host
