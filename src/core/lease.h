// What is asked for and handed out over the protocol: requests, leases, and the effects of the pool
// of leases (core/lease_pool.h), which the host carries out. Plain values.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/effect.h"
#include "core/process_id.h"

namespace tokenpool::core {

using LeaseId = std::uint64_t;    ///< 1..kMaxNumber; 0: none
using SessionId = std::uint64_t;  ///< 0: none (any more)
using Ticket = std::uint64_t;     ///< names one request; unique, later ones are greater

struct Payer {
  enum class Kind : std::uint8_t { nobody, root, process, lease };
  Kind kind = Kind::nobody;
  ProcessId process;  ///< Kind::process
  LeaseId lease = 0;  ///< Kind::lease
  ProcessId child{};  ///< Kind::process: for which of its children; pid 0: for any
  friend auto operator<=>(const Payer&, const Payer&) = default;
};

/// What a lease is for; told to people and kept for the lease, `type` and `priority` also decide.
struct Job {
  std::string type;
  std::string target;
  std::uint64_t memory = 0;  ///< bytes booked
  int priority = 0;
  friend bool operator==(const Job&, const Job&) = default;
};

/// Types and their limits; none: no limit.
using Limits = std::vector<std::pair<std::string, std::optional<int>>>;
std::map<std::string, int> changed(std::map<std::string, int> limits, const Limits& changes);

struct LeaseRequest {
  Ticket ticket = 0;
  SessionId session = 0;
  ProcessId client;  ///< whose share it counts for beside the clients of tokens
  Payer payer;
  std::optional<ProcessId> owner;  ///< the lease belongs to it; else to the session
  int min = 1;
  int max = 1;
  Job job;
  std::optional<Instant> deadline;  ///< not after `now`: granted at once or not at all
  Instant since{};                  ///< when it was asked
  friend bool operator==(const LeaseRequest&, const LeaseRequest&) = default;
};

struct Lease {
  LeaseId id = 0;
  SessionId session = 0;
  ProcessId client;
  Payer payer;
  std::optional<ProcessId> owner;
  int slots = 0;
  int paid = 0;
  Job job;
  Instant since{};
  [[nodiscard]] int cost() const { return slots - paid; }
  friend bool operator==(const Lease&, const Lease&) = default;
};

/// The next single slot would be for this client.
struct LeaseDemand {
  ProcessId client;
  int held = 0;  ///< slots that the client has
  Instant since{};
  friend bool operator==(const LeaseDemand&, const LeaseDemand&) = default;
};

/// What a lease that was not released has ended with: its session, the process that owned it, or
/// the word of an operator.
enum class LeaseEnd : std::uint8_t { session, process, operator_word };

struct LeaseEffect {
  enum class Kind : std::uint8_t {
    granted,      ///< `ticket` has `lease`
    unavailable,  ///< `ticket`: its deadline has come
    impossible,   ///< `ticket`: it asks for more than there will ever be
    finished,     ///< `lease` has ended with its `cause`; its session goes on
    recovered,  ///< `lease` has ended with its `cause`, and nobody is left who could have released
                ///< it
  };
  Kind kind{};
  Ticket ticket = 0;
  SessionId session = 0;
  Lease lease;
  LeaseEnd cause{};
  friend bool operator==(const LeaseEffect&, const LeaseEffect&) = default;
};
using LeaseEffects = std::vector<LeaseEffect>;

struct LeaseCounters {
  std::uint64_t granted = 0;
  std::uint64_t released = 0;
  std::uint64_t recovered = 0;
  std::uint64_t timed_out = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t resumed = 0;
  int peak_cost = 0;  ///< most slots out at one time, without those paid for
  friend bool operator==(const LeaseCounters&, const LeaseCounters&) = default;
};

}  // namespace tokenpool::core
