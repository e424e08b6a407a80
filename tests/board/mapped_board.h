// A board that a test owns.
#pragma once

#include <memory>

#include "board/board.h"

namespace tokenpool::board {

struct UnmapBoard {
  void operator()(Board* board) const { unmap_board(board); }
};
using MappedBoard = std::unique_ptr<Board, UnmapBoard>;

}  // namespace tokenpool::board
