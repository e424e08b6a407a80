// What happened in the FIFO between two looks at it, where nobody saw it happen: the level tells
// the difference, a watch that somebody took and somebody returned. A token that one returned and
// another took at once leaves the level as it was; that it happened is known all the same once one
// of those that were about to take or return has done so. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/process_id.h"

namespace tokenpool::core {

/// Tokens that went the same way.
struct UnseenMove {
  int count = 0;
  std::vector<ProcessId> who;  ///< one of them took, or returned, all of them; any order
  bool certain = true;         ///< it was one of them, and not somebody who has closed the FIFO
  friend bool operator==(const UnseenMove&, const UnseenMove&) = default;
};

struct MoveCounts {
  int taken = 0;
  int returned = 0;
  friend bool operator==(const MoveCounts&, const MoveCounts&) = default;
};

/// How many were taken and returned: `returned - taken` is `drift`, the bytes that came in
/// addition. `takes` and `returns` are what a watch reported, which tells of several moves of one
/// process as one, and sometimes after the look that found them. So where all of it does not fit,
/// the smallest numbers that fit are answered of which one is as reported; where there is a
/// difference and nothing of its kind was reported, the difference.
[[nodiscard]] MoveCounts count_moves(int takes, int returns, int drift);

/// A call that was announced, and how far it has come.
struct ExpectedCall {
  enum class Stage : std::uint8_t {
    pending,  ///< may have moved a token already
    over,     ///< has moved one
    in_vain,  ///< is over, too, and may have found nothing
    failed    ///< is over and has moved none
  };
  ProcessId who;
  bool takes = true;  ///< else it returns
  Stage stage = Stage::pending;
  bool several = false;    ///< may have moved more than one
  bool booked = false;     ///< a token that it took or returned is booked to it
  bool suspected = false;  ///< or is booked to it and others together
};

/// What must have happened.
struct Deduction {
  enum class Fate : std::uint8_t {
    stays,   ///< it may still move a token, and none is booked to it
    booked,  ///< ... and one is
    over
  };
  /// Of nobody (`who` is empty): not of those that were announced.
  std::vector<UnseenMove> taken;
  std::vector<UnseenMove> returned;
  /// They have what they were suspected of.
  std::vector<ProcessId> attributed;
  std::vector<Fate> fates;  ///< of the calls, in their order
};

/// The fewest moves that make `drift` and of which each call that is over made one. What is lacking
/// then was taken by those that still wait (all of them are suspected), and returned by those that
/// are about to, oldest first (a return waits for nothing; when another is over first, that is put
/// right). A take that nothing makes up for was in the books before; else a watch's word that it
/// `changed_hands` means that strangers returned it; else it failed. `calls`: oldest first, and how
/// far they had come before `drift` was measured.
[[nodiscard]] Deduction deduce_moves(int drift, bool changed_hands,
                                     std::span<const ExpectedCall> calls);

}  // namespace tokenpool::core
