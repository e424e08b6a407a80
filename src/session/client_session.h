// What a Dispatcher knows of one connection and of who is at its other end.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "core/lease_pool.h"
#include "session/dispatcher_world.h"
#include "session/token_news.h"

namespace tokenpool::session {

struct ClientSession {
  /// stranger: has not said hello; punished: has said a wrong one, whose answer waits; closing:
  /// when what there is has been sent.
  enum class State : std::uint8_t { stranger, punished, member, closing };
  [[nodiscard]] bool is_stranger() const {
    return state == State::stranger || state == State::punished;
  }

  core::SessionId id = 0;
  State state = State::stranger;
  Peer peer;
  std::optional<core::ProcessId> process;
  std::int32_t shown_pid = 0;
  std::uint64_t named_start = 0;
  std::string name;
  Standing standing;
  std::string unfinished;  ///< the begin of a line
  std::string outbox;
  std::uint64_t sent = 0;  ///< bytes that were in front of it
  /// Granted, and in the outbox up to that byte.
  std::deque<std::pair<core::LeaseId, std::uint64_t>> promised;
  std::unordered_map<std::string, core::Ticket> asked;  ///< by key_of(id)
  std::set<core::LeaseId> finished;                     ///< not released yet, kMaxLeasesOfSession
  std::optional<core::Instant> deadline;                ///< of stranger and punished
  int bad_lines = 0;
  bool listed = false;  ///< in outputs_
  bool subscribed = false;
  PidsSeen pids;  ///< ... then as it sees them
  std::uint64_t lost_events = 0;
};

/// A lease that has ended with a connection; its client may come back and say so.
struct LostLease {
  core::LeaseId lease = 0;
  int slots = 0;
  std::optional<core::ProcessId> process;  ///< of the client, where it was known
  std::int32_t shown_pid = 0;
};

}  // namespace tokenpool::session
