// What a watcher wants to have done. One place carries it out: arbiter/slot_keeper.cc for a run,
// serve/serve.cc for the standing arbiter.
#pragma once

#include <vector>

#include "board/rows.h"

namespace tokenpool::watch {

struct Verdict {
  int mint = 0;                        ///< slots that there are to be beyond those that there are
  bool known = false;                  ///< ... in place of tokens whose holders are known
  int unmint = 0;                      ///< of those made so before; first
  std::vector<board::StuckRow> stuck;  ///< to be named
};

}  // namespace tokenpool::watch
