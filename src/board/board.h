// What front and arbiter both see: shared memory that is made before the arbiter is forked and
// outlives every arbiter of the run. The arbiter keeps it up to date after every step; when it
// dies, the next one goes on from it, and at the end the front writes the report from it.
//
// One writer at a time (the living arbiter; the front only while there is none). The writer may be
// killed between any two stores, so the account rows are written to the page that is not current
// and then published, and what is done after that is announced in that page before it is done.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>
#include <string_view>

#include "board/limits.h"
#include "board/memory_proxy.h"
#include "board/rows.h"
#include "board/unseen_caller.h"
#include "core/limits.h"
#include "core/pool.h"
#include "jobserver/seccomp.h"

namespace tokenpool::board {

inline constexpr std::size_t kBoardRows = 2048;     ///< accounts that a dead arbiter passes on
inline constexpr std::size_t kBoardSuspects = 512;  ///< ... in all unseen takes together
inline constexpr std::size_t kBoardCallers = 256;   ///< ... that were announced
inline constexpr std::size_t kBoardSubreapers = 64;
inline constexpr std::size_t kBoardUsers = 16;

struct AccountRow {
  core::ProcessId who;
  std::int32_t own = 0;
  std::int32_t inherited = 0;
  bool client = false;
  bool returns = false;
};

/// One of those that may have taken tokens unseen, see core::UnseenTake. The rows of one take
/// follow each other.
struct SuspectRow {
  core::ProcessId who;
  std::int32_t take = 0;   ///< the number of the take
  std::int32_t count = 0;  ///< its tokens
};

/// What somebody has set over the protocol, and what the next arbiter goes on with.
struct Settings {
  std::int32_t slots = 0;  ///< now, with the implicit one
  bool paused = false;
  bool fixed = false;         ///< somebody has set `slots`: they do not follow the machine any more
  std::int32_t withheld = 0;  ///< of the slots, on account of processes that ignore the pool
  friend bool operator==(const Settings&, const Settings&) = default;
};

/// A call whose outcome the kernel knows: it waits for its answer, or it has got one.
struct AnnouncedCall {
  core::ProcessId who;
  core::RequestId id = 0;
  bool from_fifo = false;  ///< of a grant: its byte is taken out of the FIFO first
};

/// What the arbiter has begun to do since it published a page.
struct Announced {
  std::atomic<bool> gives{false};
  AnnouncedCall given;  ///< valid when `gives`: a write that is answered, and booked then
  std::atomic<bool> answered{false};  ///< the kernel has taken that answer
  std::atomic<std::uint32_t> grant_count{0};
  /// Reads: as many as there may be tokens, those that were issued, made and lent.
  std::array<AnnouncedCall, std::size_t{4} * core::kMaxSlots> grants;
  /// Tokens that are on their way out of the FIFO (or, negative, into it), for leases or because
  /// the number of slots changes.
  std::atomic<std::int32_t> moving{0};
};

struct AccountPage {
  std::uint32_t count = 0;
  std::int32_t owed = 0;
  std::int32_t issued = 0;
  std::int32_t reserved = 0;
  std::int32_t lent = 0;  ///< to leases
  std::int32_t minted = 0;
  std::int32_t unseen = 0;  ///< taken by nobody knows whom
  std::uint64_t leases = 0;
  Settings settings;  ///< slots 0: never published
  core::PoolCounters counters;
  std::array<AccountRow, kBoardRows> rows;
  std::uint32_t suspect_count = 0;
  std::array<SuspectRow, kBoardSuspects> suspects;
  std::uint32_t caller_count = 0;
  std::array<UnseenCaller, kBoardCallers> callers;
  Announced announced;
};

/// Bytes of a command line and of a path, for those who look at what runs.
inline constexpr std::size_t kBoardLine = 1024;

struct Board {
  std::array<char, kBoardLine> command{};  ///< of the run; written before the first arbiter begins
  std::array<char, kBoardLine> folder{};   ///< ... in which it was started
  std::array<AccountPage, 2> pages;
  std::atomic<std::uint32_t> current{0};  ///< the page that is valid

  jobserver::Receipt receipt;  ///< of the stopped call that was received last
  std::atomic<std::uint32_t> waiting_count{0};
  std::array<jobserver::Notification, core::kMaxWaiting> waiting;

  WriteRequest write;  ///< by the arbiter and the front

  std::array<LimitTable, 2> limits;
  std::atomic<std::uint32_t> current_limits{0};  ///< the table that is valid

  std::atomic<std::uint32_t> subreaper_count{0};
  std::array<std::int32_t, kBoardSubreapers> subreapers;  ///< processes of the build, see Kinship

  std::uint32_t recovery_count = 0;  ///< all of them, also those beyond the array
  std::array<RecoveryRow, kMaxRecoveries> recoveries;
  std::uint32_t loser_count = 0;  ///< those of them that were not just a dead one's job
  std::array<char, kBoardCommand> first_loser{};
  std::uint32_t refusal_count = 0;
  std::array<RefusalRow, kMaxRefusals> refusals;
  std::int64_t begun_ns = 0;  ///< core::Instant at which the first arbiter began to serve
  std::atomic<std::uint32_t> uncooperative_count{0};
  std::array<UncooperativeRow, kMaxUncooperative> uncooperative;

  std::atomic<std::uint32_t> stuck_count{0};
  std::array<StuckRow, kMaxStuck> stuck;

  std::atomic<std::uint32_t> user_count{0};
  std::array<OtherUserRow, kBoardUsers> users;

  std::array<FrozenRow, kMaxFrozenProcesses> frozen;
  std::atomic<bool> freezes_no_more{false};    ///< written by the front: the build is being ended
  std::atomic<std::uint32_t> freeze_count{0};  ///< jobs, each time that one was
  std::uint32_t frozen_peak = 0;               ///< jobs at one time
  std::int64_t frozen_ns = 0;                  ///< of all jobs together

  std::atomic<bool> fifo_gone{false};  ///< somebody has removed or replaced it
  std::atomic<bool> paused{false};     ///< somebody wants nothing to be granted
  std::uint32_t arbiter_deaths = 0;    ///< written by the front
  std::int32_t issued = 0;
  std::int32_t in_fifo = 0;     ///< at the end
  std::int32_t still_held = 0;  ///< at the end: by processes that live on
  std::int32_t missing = 0;     ///< at the end
};

/// As much of `text` as has room, with a zero after it.
void copy_text(std::string_view text, std::span<char> field);

/// Maps a board, zeroed, shared with every process forked later. Nullptr with errno when there is
/// no memory. unmap_board() gives it back.
Board* map_board();
void unmap_board(Board* board);

}  // namespace tokenpool::board
