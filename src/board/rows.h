// The rows of the board (board/board.h) that tell people what happened, or what holds now.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "core/effect.h"
#include "core/limits.h"
#include "wire/limits.h"

namespace tokenpool::board {

inline constexpr std::size_t kBoardCommand = 120;  ///< bytes kept of a command line

struct RecoveryRow {
  std::int32_t pid = 0;
  std::int32_t held = 0;
  std::int32_t recovered = 0;  ///< free at once
  std::int32_t moved = 0;  ///< to surviving jobs, or passed to the process that it fetched them for
  core::EndCause cause = core::EndCause::unknown;
  std::int64_t after_us = 0;  ///< from the kernel's word of the death to the tokens being free
  std::array<char, kBoardCommand> command{};
};

struct RefusalRow {
  std::int32_t pid = 0;  ///< 0: a call that nobody saw
  std::int32_t count = 0;
  std::array<char, kBoardCommand> command{};
};

/// A process that ignores the pool.
struct UncooperativeRow {
  std::int32_t pid = 0;
  double cores = 0;           ///< most that it used beyond its slots
  std::int64_t since_ns = 0;  ///< core::Instant of the accusation
  std::int64_t until_ns = 0;  ///< ... and of its end; 0: it goes on
  std::array<char, kBoardCommand> command{};
};

/// A process that kept slots, or a place in the limit of a type, while others waited and nothing
/// moved.
struct StuckRow {
  std::int32_t pid = 0;  ///< 0: nobody knows who
  std::int32_t held = 0;
  std::array<char, kBoardCommand> command{};
  std::int32_t halted = 0;  ///< it or one below it that cannot go on; 0: none is known
  char state = 0;           ///< ... see HaltedProcess
  bool too = false;         ///< ... beside another one of the same holder
  std::array<char, kBoardCommand> halted_command{};
  std::array<char, wire::kMaxTypeBytes + 1> type{};  ///< empty: for slots
  std::int32_t limit = 0;                            ///< of the type
  std::int32_t waiting = 0;                          ///< for it
};

/// A user other than root that processes of root's build go on as, see OtherUsers.
struct OtherUserRow {
  std::uint32_t user = 0;
  std::int32_t pid = 0;  ///< of the first of them
  std::array<char, kBoardCommand>
      out_of_reach{};  ///< the file that he cannot use; empty: there is none
  std::array<char, kBoardCommand> command{};
};

/// At most `limit` jobs of `type` run at one time.
struct LimitRow {
  std::array<char, wire::kMaxTypeBytes + 1> type{};
  std::int32_t limit = 0;
};

struct LimitTable {
  std::uint32_t count = 0;
  std::array<LimitRow, core::kMaxLimits> rows;
};

/// A process that the arbiter stops or has stopped. It is written before the signal is sent.
struct FrozenRow {
  std::atomic<std::int32_t> pid{0};  ///< 0: the row is free
  std::atomic<std::uint64_t> start{0};
};

}  // namespace tokenpool::board
