// What a run tells on stderr while it goes on, each at most a line.
#pragma once

#include <string>

#include "board/rows.h"

namespace tokenpool::watch {

/// Tells, on one line, of a process that ignores the pool.
std::string uncooperative_line(const board::UncooperativeRow& row);
/// ... of one that goes on as a user who cannot reach what he needs of the pool.
std::string outsider_line(const board::OtherUserRow& row);
/// ... the first time that jobs are frozen.
inline constexpr const char* kFrozenLine =
    "more jobs run than there are slots by now, so the youngest stand still until there is one for "
    "them (--enforce)";
/// ... when somebody has paused the pool, and let it go on.
inline constexpr const char* kPausedLine =
    "the pool is paused: nobody gets another slot until `tokenpool resume`";
inline constexpr const char* kResumedLine = "the pool goes on";

}  // namespace tokenpool::watch
