// A board that a test owns.
#pragma once

#include <memory>

#include "host/board.h"

namespace tokenpool::host {

struct UnmapBoard {
  void operator()(Board* board) const { unmap_board(board); }
};
using MappedBoard = std::unique_ptr<Board, UnmapBoard>;

}  // namespace tokenpool::host
