// What an arbiter answers to the calls of wire/protocol.h; the contract is tokenpool-protocol(7).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/slot_range.h"

namespace tokenpool::wire {

struct HelloResult {
  std::uint64_t session = 0;
  std::string server;
  int slots = 0;
  std::string epoch;
  std::optional<std::vector<std::uint64_t>> resumed;
  friend bool operator==(const HelloResult&, const HelloResult&) = default;
};
struct AcquireResult {
  std::uint64_t lease = 0;
  int slots = 0;
  int paid = 0;
  std::optional<bool> watched;
  friend bool operator==(const AcquireResult&, const AcquireResult&) = default;
};
struct LimitUse {
  std::string type;
  int limit = 0;
  int used = 0;
  friend bool operator==(const LimitUse&, const LimitUse&) = default;
};
struct StatusRow {
  std::uint64_t lease = 0;  ///< 0: it waits
  std::uint64_t session = 0;
  std::string name;
  std::int32_t pid = 0;
  int slots = 0;  ///< of a lease
  int paid = 0;
  int min = 0;  ///< of one that waits
  int max = 0;
  std::string type;
  std::string target;
  int priority = 0;
  std::int64_t age_ms = 0;
  friend bool operator==(const StatusRow&, const StatusRow&) = default;
};
struct RecoveryRow {
  std::uint64_t lease = 0;
  int slots = 0;
  std::string name;
  std::int32_t pid = 0;
  std::string target;
  std::string cause;  ///< "session" or "process"
  std::int64_t ago_ms = 0;
  friend bool operator==(const RecoveryRow&, const RecoveryRow&) = default;
};
/// A process of the build that uses more CPUs than it has slots.
struct UncooperativeRow {
  std::int32_t pid = 0;
  std::string command;
  std::int64_t millicores = 0;  ///< thousandths of a CPU, more than its slots
  std::int64_t since_ms = 0;
  friend bool operator==(const UncooperativeRow&, const UncooperativeRow&) = default;
};
/// The build of a `tokenpool run`, and what became of its tokens.
struct RunStatus {
  std::string command;      ///< blanks between the words
  std::string folder;       ///< in which it was started
  std::int32_t pid = 0;     ///< of `tokenpool run`; 0: it has returned
  std::int64_t age_ms = 0;  ///< since it was started
  bool over = false;        ///< the command has ended; its arbiter serves what it left running
  std::string tracking;     ///< "exact": who holds which token is known; "infer": it is not
  int waiting = 0;          ///< reads that wait for a token, as far as they are seen
  std::uint64_t taken = 0;
  std::uint64_t returned = 0;
  std::uint64_t recovered = 0;  ///< tokens of processes that ended with them
  std::uint64_t refused = 0;    ///< tokens that were returned once too often
  std::uint64_t minted = 0;     ///< in place of others that did not come back
  friend bool operator==(const RunStatus&, const RunStatus&) = default;
};
/// A process that holds tokens of the GNU make jobserver.
struct HolderRow {
  std::int32_t pid = 0;  ///< 0: they were taken unseen, by nobody knows whom
  int tokens = 0;
  std::string command;
  std::int64_t age_ms = 0;  ///< of the process
  friend bool operator==(const HolderRow&, const HolderRow&) = default;
};
/// A process that runs on the tokens of a holder, which has started it, or (holder 0) that the
/// command of a run has left running.
struct JobRow {
  std::int32_t holder = 0;
  std::int32_t pid = 0;
  std::string command;
  std::int64_t age_ms = 0;  ///< of the process
  friend bool operator==(const JobRow&, const JobRow&) = default;
};
struct StatusCounters {
  std::uint64_t granted = 0;
  std::uint64_t released = 0;
  std::uint64_t recovered = 0;
  std::uint64_t timed_out = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t refused = 0;       ///< requests answered with an error, those above left out
  std::uint64_t unauthorized = 0;  ///< connections with a wrong cookie or another user's
  std::uint64_t resumed = 0;
  friend bool operator==(const StatusCounters&, const StatusCounters&) = default;
};
struct StatusResult {
  std::string server;
  std::string epoch;
  std::int32_t pid = 0;
  std::int64_t uptime_ms = 0;
  bool paused = false;
  bool draining = false;
  int slots = 0;
  core::SlotRange range;  ///< within which `slots` follow the machine, where they do
  int free = 0;
  int leased = 0;
  int tokens = 0;
  int implicit = 0;
  int frozen = 0;  ///< jobs that are made to stand still
  std::vector<LimitUse> limits;
  std::vector<StatusRow> leases;  ///< at most kMaxStatusRows
  std::vector<StatusRow> waiting;
  std::size_t leases_total = 0;
  std::size_t waiting_total = 0;
  std::size_t sessions = 0;
  StatusCounters counters;
  std::vector<RecoveryRow> recoveries;          ///< at most kMaxRecoveryRows
  std::vector<UncooperativeRow> uncooperative;  ///< at most kMaxRecoveryRows
  std::optional<RunStatus> run;                 ///< none: a server
  std::vector<HolderRow> holders;               ///< at most kMaxHolderRows
  std::vector<JobRow> jobs;                     ///< at most kMaxStatusRows
  friend bool operator==(const StatusResult&, const StatusResult&) = default;
};
inline constexpr std::size_t kMaxStatusRows = 64;
inline constexpr std::size_t kMaxRecoveryRows = 16;
inline constexpr std::size_t kMaxHolderRows = 16;

}  // namespace tokenpool::wire
