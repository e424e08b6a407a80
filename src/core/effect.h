// What goes into the pool and what comes out: requests, and the effects that the host carries out.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "core/ledger.h"
#include "core/process_id.h"

namespace tokenpool::core {

/// Time since any fixed point; never the wall clock.
using Instant = std::chrono::nanoseconds;

/// Names one read that waits for an answer; unique for the life of a pool.
using RequestId = std::uint64_t;

struct Request {
  RequestId id = 0;
  ProcessId who;
  bool blocking = false;  ///< false: wants EAGAIN rather than to wait
  /// Asked by Pool::borrow(): the token is for a lease of `who`, which has `held` slots, and waits
  /// since `since`.
  bool lease = false;
  int held = 0;
  Instant since{};
  friend bool operator==(const Request&, const Request&) = default;
};

/// One thing the host has to do now.
struct Effect {
  enum class Kind : std::uint8_t {
    grant_from_fifo,  ///< take one byte out of the FIFO and answer `request` with it
    grant_direct,     ///< answer `request` with a token; the FIFO is not touched
    refuse,           ///< answer `request` with EAGAIN; a blocking one (kMaxWaiting) with EINTR
    put,              ///< put `count` bytes into the FIFO
    drain,            ///< take `count` bytes out of the FIFO and drop them; fewer are no failure
    lend_from_fifo,   ///< take `count` bytes out of the FIFO and supply the leases with what there
                      ///< was; Pool::lend_failed() is told of the rest
    lend_direct,      ///< supply the leases with `count` tokens; the FIFO is not touched
    recovered,        ///< for the report: `end` tells what became of the tokens of `who`; pid 0: of
                      ///< unseen takes that nobody is left for
    refused,  ///< for the report: `count` tokens that `who` (pid 0: nobody knows) over-returned
  };
  Kind kind{};
  int count = 0;
  RequestId request = 0;
  ProcessId who;
  EndCause cause = EndCause::unknown;
  EndOutcome end;
  friend bool operator==(const Effect&, const Effect&) = default;
};
using Effects = std::vector<Effect>;

enum class GrantFailure : std::uint8_t {
  caller_gone,   ///< the reader died or was interrupted before it could be answered
  byte_missing,  ///< somebody unseen took the byte first (grant_from_fifo only)
};

struct PoolCounters {
  std::uint64_t taken = 0;      ///< tokens handed out, seen
  std::uint64_t returned = 0;   ///< tokens returned by clients, seen
  std::uint64_t recovered = 0;  ///< tokens that came back because their holder died
  std::uint64_t refused = 0;    ///< over-returned tokens, swallowed
  std::uint64_t unseen_taken = 0;
  std::uint64_t unseen_returned = 0;
  std::uint64_t minted = 0;  ///< in place of others that did not come back
  int peak_outstanding = 0;  ///< most tokens out at one time
  friend bool operator==(const PoolCounters&, const PoolCounters&) = default;
};

}  // namespace tokenpool::core
