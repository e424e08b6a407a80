// What the arbiter of a run is made of, as its parts lend it to each other.
#pragma once

#include "arbiter/front_line.h"
#include "arbiter/kinship.h"
#include "board/begin.h"
#include "board/board_log.h"
#include "core/effect.h"
#include "core/pool.h"
#include "proc/watchlist.h"

namespace tokenpool::arbiter {

class Carrier;

/// All outlive whoever has it; they may be constructed later than that.
struct RunParts {
  core::Pool* pool = nullptr;        ///< of tokens
  core::Effects* effects = nullptr;  ///< of `pool`
  Carrier* carrier = nullptr;        ///< carries them out
  Kinship* kin = nullptr;
  proc::Watchlist* watched = nullptr;
  board::BoardLog* log = nullptr;
  const FrontLine* front = nullptr;
  const board::ArbiterConfig* config = nullptr;
  const board::Begin* begin = nullptr;
};

}  // namespace tokenpool::arbiter
