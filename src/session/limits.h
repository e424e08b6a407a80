// The limits of a server and of each of its clients, each with its reason;
// tokenpool-protocol(7) names those that a client can meet.
#pragma once

#include <chrono>
#include <cstddef>

namespace tokenpool::session {

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

}  // namespace tokenpool::session
