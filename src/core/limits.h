// The limits of pool and protocol, each with its reason.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace tokenpool::core {

/// Slots of one pool. A FIFO holds 65536 bytes by default but only 4096 once its user exceeds
/// pipe-user-pages-soft (pipe(7)), and samurai's client reads into a 512-byte array: 512 suits all.
inline constexpr int kMaxSlots = 512;

/// Processes that the ledger knows at one time; each costs the arbiter one pidfd.
inline constexpr std::size_t kMaxAccounts = 16384;

/// Ancestors kept of one process: deeper nesting is cut at the far end, next to the build's root.
inline constexpr std::size_t kMaxAncestors = 64;

/// Reads that wait for a token at one time; one that comes later is answered as if interrupted.
inline constexpr std::size_t kMaxWaiting = 4096;

/// How long a returned token lies in the FIFO for pollers (pselect, epoll, a shell's read) before a
/// blocked reader gets it. A poller's wake-up and read take about 0.1 ms, 1 ms on a busy machine.
inline constexpr std::chrono::nanoseconds kOfferWindow = std::chrono::milliseconds(1);

/// Nobody claimed the offer: this many returned tokens at most skip the FIFO before the next offer.
inline constexpr int kMaxOfferGap = 64;

/// A client that asks without waiting (ninja <= 1.13) and was refused finds a token kept for it for
/// twice the time between its last two asks, within these bounds.
inline constexpr std::chrono::nanoseconds kMinReservation = std::chrono::milliseconds(10);
inline constexpr std::chrono::nanoseconds kFirstReservation = std::chrono::milliseconds(100);
inline constexpr std::chrono::nanoseconds kMaxReservation = std::chrono::seconds(10);

/// An ask while no token has been visible in the FIFO for this long was a blind one; a poller's
/// lost race for a visible token comes sooner.
inline constexpr std::chrono::nanoseconds kBlindAfter = std::chrono::milliseconds(5);

/// A client that returned a token less than this ago and holds more than another active client is
/// asked once to let the others look first.
inline constexpr std::chrono::nanoseconds kPolite = std::chrono::milliseconds(1);

/// A client that asked within this time counts as active where shares are compared.
inline constexpr std::chrono::nanoseconds kActive = std::chrono::seconds(1);

/// Bytes of a build tree's CMakeCache.txt that are read, by every `cmake --build`: an entry with
/// its comment has some 100 bytes, so this suffices for 40,000 of them.
inline constexpr std::size_t kMaxCmakeCache = 4U << 20;

/// Recoveries and refusals kept with all details for the report; later ones are only counted.
inline constexpr std::size_t kMaxRecoveries = 4096;
inline constexpr std::size_t kMaxRefusals = 256;

/// Files of /proc that a census keeps open: of more processes it opens them again at each walk. It
/// looks at so many threads of one process and of all of them one by one, about 10 us each; of what
/// has more the rest counts as if it never had to wait.
inline constexpr std::size_t kMaxCensusFiles = 512;
inline constexpr int kMaxCensusThreads = 256;
inline constexpr int kMaxCensusThreadsOfWalk = 4096;

/// Processes that are accused at one time of ignoring the pool; a report or a status has a line for
/// each. With so many the others need no name either.
inline constexpr std::size_t kMaxAccused = 64;

/// Accusations kept for the report; one who stops and begins anew is accused anew.
inline constexpr std::size_t kMaxUncooperative = 256;

/// Processes that a report names because they kept slots while nothing moved.
inline constexpr std::size_t kMaxStuck = 64;

/// Processes that are frozen at one time: a slot runs one job, a job mostly one process.
inline constexpr std::size_t kMaxFrozenProcesses = 1024;

/// Names of TMPDIR that a run reads in search of what dead runs left there (about 20 ms, while the
/// build is under way), and folders of runs that it looks into: more than a user has builds at one
/// time, about 20 us each. What is left over waits for a later run.
inline constexpr std::size_t kMaxSweptEntries = 65536;
inline constexpr std::size_t kMaxSweptRuns = 256;

/// Files that the shims may have left in the folder of a run, a handful for each tool on PATH. A
/// folder with more is not as we make them, and stays.
inline constexpr std::size_t kMaxToolFiles = 1024;

/// A run makes its FIFO within milliseconds of its folder. Whoever has not after this time is dead;
/// one that was stopped so long finds its folder gone and says so.
inline constexpr std::chrono::hours kMaxSetup{24};

/// Arbiters that may die before the FIFO is left to itself: one more would meet the same fate.
inline constexpr std::uint32_t kMaxArbiterDeaths = 8;

// --- the protocol; tokenpool-protocol(7) names those that a client can meet ---

/// Bytes of one line with its newline: a request has some 200, a status with all its rows 40,000.
inline constexpr std::size_t kMaxLine = 65536;
/// Of JSON in a line; nothing that the protocol knows is deeper than 5.
inline constexpr int kMaxDepth = 16;
/// The largest whole number that JavaScript reads exactly.
inline constexpr std::uint64_t kMaxNumber = (std::uint64_t{1} << 53) - 1;
inline constexpr std::size_t kMaxIdBytes = 64;
inline constexpr std::size_t kMaxNameBytes = 64;
inline constexpr std::size_t kMaxTypeBytes = 32;
inline constexpr std::size_t kMaxTargetBytes = 256;
inline constexpr int kMaxPriority = 100;
inline constexpr std::int64_t kMaxTimeoutMs = 86'400'000;
/// Leases that one `hello` declares; their line has to fit into kMaxLine.
inline constexpr std::size_t kMaxResumed = 512;

/// Connections; each costs two descriptors (its socket and a pidfd) and about 2 KiB.
inline constexpr std::size_t kMaxSessions = 12288;
/// ... of which so many may not have said hello yet, and for so long.
inline constexpr std::size_t kMaxStrangers = 1024;
inline constexpr std::chrono::nanoseconds kHelloPatience = std::chrono::seconds(5);
/// A wrong cookie is answered the later the more there were, up to this; so a loop of guesses costs
/// its author time and the arbiter none.
inline constexpr std::chrono::nanoseconds kCookiePenalty = std::chrono::milliseconds(100);
inline constexpr std::chrono::nanoseconds kMaxCookiePenalty = std::chrono::seconds(2);
/// Lines of one session that are no message at all.
inline constexpr int kMaxBadLines = 16;
/// Bytes that wait for a session to read them.
inline constexpr std::size_t kMaxUnread = 1U << 20;

inline constexpr std::size_t kMaxLeases = 16384;
inline constexpr std::size_t kMaxLeasesOfSession = 1024;
inline constexpr std::size_t kMaxRequestsOfSession = 1024;
/// Types with a limit. A configuration has a handful.
inline constexpr std::size_t kMaxLimits = 64;

/// So long a request goes before those that are a point of priority lower and asked before it. Over
/// all that there are it is half an hour, and what builds give, a few points, lasts as long as jobs
/// take.
inline constexpr std::chrono::nanoseconds kPriorityStep = std::chrono::seconds(10);
/// A request that has been first in line for this long gets a reservation.
inline constexpr std::chrono::nanoseconds kReservationAfter = std::chrono::seconds(2);
/// How long a new arbiter grants nothing, so that what the dead one granted is declared first.
inline constexpr std::chrono::nanoseconds kResumeGrace = std::chrono::milliseconds(300);

}  // namespace tokenpool::core
