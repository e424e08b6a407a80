#include <new>

#include <sys/mman.h>

#include "board/board.h"

namespace tokenpool::board {

Board* map_board() {
  void* memory =
      ::mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  // Default-initialised on purpose: the pages are zero already, and a value-initialisation would
  // touch every one of them.
  return static_cast<Board*>(memory);
}

void unmap_board(Board* board) {
  if (board != nullptr) ::munmap(board, sizeof(Board));
}

}  // namespace tokenpool::board
