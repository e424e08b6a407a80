#include "core/unseen_moves.h"

#include <algorithm>

namespace tokenpool::core {

MoveCounts count_moves(int takes, int returns, int drift) {
  MoveCounts moves{.taken = takes, .returned = returns};
  if (returns - takes < drift) {
    moves.taken = returns - drift;
  } else {
    moves.returned = takes + drift;
  }
  const int lacking = std::max({0, -moves.taken, -moves.returned});
  moves.taken += lacking;
  moves.returned += lacking;
  return moves;
}

}  // namespace tokenpool::core
