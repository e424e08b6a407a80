// The limits of a pool, each with its reason.
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

/// The largest whole number that JavaScript reads exactly.
inline constexpr std::uint64_t kMaxNumber = (std::uint64_t{1} << 53) - 1;

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
