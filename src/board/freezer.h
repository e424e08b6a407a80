// Stops processes, and lets them go on whoever dies. The list of those that stand still is on the
// board: a process is on it before it is stopped and until it goes on, so whoever of front and
// arbiter survives knows whom to thaw. Each is named with its start time and signalled by a pidfd
// (Linux 5.3), so that no other process is ever hit.
//
// The arbiter freezes; the front thaws when the arbiter has died, and when the build is to end,
// while the arbiter may be at it: then `Board::freezes_no_more` is set first, which the arbiter
// looks at after each stop.
#pragma once

#include <cstdint>

#include "board/board.h"
#include "core/process_id.h"

namespace tokenpool::board {

class Freezer {
 public:
  explicit Freezer(Board* board) : board_(board) {}

  /// False: it runs on, as no row is free, the kernel refuses, it has children by now, or nobody is
  /// to be frozen any more. True as well when it has ended.
  bool freeze(core::ProcessId who);
  /// Lets it go on and takes it off the list. Nothing happens to one that is not on it.
  void thaw(core::ProcessId who);

 private:
  Board* board_;
};

/// Lets everybody on the list go on. `forget`: and clears it, which only the arbiter may do, or
/// whoever goes on in its place when it has died.
void thaw_all(Board* board, bool forget);

}  // namespace tokenpool::board
