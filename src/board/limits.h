// How much the board holds, each with its reason.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tokenpool::board {

/// Recoveries and refusals kept with all details for the report; later ones are only counted.
inline constexpr std::size_t kMaxRecoveries = 4096;
inline constexpr std::size_t kMaxRefusals = 256;

/// Accusations kept for the report; one who stops and begins anew is accused anew.
inline constexpr std::size_t kMaxUncooperative = 256;

/// Processes that a report names because they kept slots while nothing moved.
inline constexpr std::size_t kMaxStuck = 64;

/// Processes that are frozen at one time: a slot runs one job, a job mostly one process.
inline constexpr std::size_t kMaxFrozenProcesses = 1024;

/// Arbiters that may die before the FIFO is left to itself: one more would meet the same fate.
inline constexpr std::uint32_t kMaxArbiterDeaths = 8;

}  // namespace tokenpool::board
