// The arbiter's process: it owns the pool, answers the stopped calls of the build's clients,
// watches their deaths, and keeps the board up to date. The front forks it; everything it needs is
// inherited.
//
// It ends when the front says that the build is over and nobody is left. When processes stay that
// the build left on purpose, the front returns, and the arbiter takes its place as the guardian of
// another arbiter, until the last of them has ended. When the front dies before the command, it
// ends the whole build and removes what is on the disk.
#pragma once

#include "board/begin.h"

namespace tokenpool::arbiter {

/// Serves one build in the calling process. Answers 0, or 3 when it
/// cannot get what it needs. `left`: the front is about to return, and processes that the command
/// left on purpose are to be served on, with Begin::left.
int serve_build(const board::ArbiterConfig& config, const board::Begin& begin,
                const board::Attached& attached, bool* left);

/// Runs the arbiter in the calling process and answers its exit status: 0, or 3 when it cannot get
/// what it needs (descriptors, memory). Does not touch the terminal. When the front dies before it
/// has sent Begin, what it may have made under the FIFO's chosen name is removed.
int arbiter_main(const board::ArbiterConfig& config);

/// The same in place of one that has served this build: nothing is sent, all of it is inherited. So
/// the build has an arbiter from the fork on, which ends it if the front dies a moment later.
int arbiter_main(const board::ArbiterConfig& config, const board::Begin& begin,
                 const board::Attached& attached);

}  // namespace tokenpool::arbiter
