// What front and arbiter tell each other: what an arbiter is forked with, the message that gives it
// a build to serve, and the words on the socket between both.
#pragma once

#include <array>
#include <string>
#include <vector>

#include <sys/types.h>

#include "board/board.h"
#include "core/slot_range.h"
#include "jobserver/fifo.h"
#include "proc/build_group.h"
#include "proc/build_mark.h"
#include "wire/protocol.h"

namespace tokenpool::board {

/// What the arbiter is forked with.
struct ArbiterConfig {
  jobserver::Fifo* fifo = nullptr;  ///< its name is chosen; it may not exist yet
  Board* board = nullptr;
  proc::BuildGroup group;  ///< its name is chosen; the command is in it if it exists
  int control = -1;        ///< SOCK_SEQPACKET to the front
  pid_t front = 0;
};

/// The first message of the front: there is a build to serve. The FIFO is attached; behind it, for
/// exact tracking, the listener of the seccomp filter (without one the FIFO is left to itself), and
/// the sockets of the protocol, Unix ones first.
struct Begin {
  char word = 'B';
  bool resume = false;  ///< an arbiter died before this one: go on from the board
  bool bypass = false;  ///< arbiters keep dying: let every call through as if there were none
  bool left = false;    ///< the command has ended, and the front: serve those that it left
  pid_t guardian = 0;   ///< with `left`: who watches over the arbiter
  int read_end = -1;    ///< the descriptor numbers that the build inherited
  int write_end = -1;
  int issued = 0;               ///< tokens that the FIFO was filled with
  core::SlotRange slots;        ///< equal bounds: there are always issued + 1
  std::int32_t standstill = 0;  ///< seconds, see RunConfig
  bool enforce = false;         ///< see RunConfig
  proc::BuildMark mark = 0;     ///< that the build carries
  bool tracked = false;         ///< a seccomp listener is attached
  bool exits = false;           ///< ... and tells who ends by himself, as the kernel does not
  int unix_sockets = 0;         ///< so many listening sockets of either kind are attached
  int tcp_sockets = 0;
  std::array<char, wire::kCookieDigits> cookie{};  ///< of the protocol
};

/// What is attached to Begin besides the FIFO. All belong to whoever received them.
struct Attached {
  int listener = -1;              ///< of the seccomp filter
  std::vector<int> unix_sockets;  ///< listening
  std::vector<int> tcp_sockets;
};

/// Words on the control socket. Front to arbiter: kAllEnded or kSomeLeft, once, when CMD has ended
/// (or kAllEnded in place of Begin: there will be no build). Arbiter to front: kReady, it serves;
/// kSettled, the board holds the final figures; as often as it likes, kWrite, the board holds a
/// request (board/memory_proxy.h), and kNews.
inline constexpr char kAllEnded = 'E';
inline constexpr char kSomeLeft = 'L';
inline constexpr char kReady = 'R';
inline constexpr char kSettled = 'S';
inline constexpr char kWrite = 'W';
/// The board names somebody more who ignores the pool, or is stuck, or jobs are frozen for the
/// first time.
inline constexpr char kNews = 'N';

}  // namespace tokenpool::board
