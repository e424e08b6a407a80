// What the dispatcher asks of the arbiter around it: who is at the other end, what covers a job,
// and what only the arbiter can change.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "core/lease.h"
#include "core/slot_range.h"
#include "wire/protocol.h"
#include "wire/protocol_results.h"

namespace tokenpool::session {

/// The other end of a connection, as the kernel tells.
struct Peer {
  /// Of a Unix socket (SO_PEERCRED, unix(7)), as far as it can be seen from here.
  std::optional<core::ProcessId> process;
  bool local = false;  ///< a Unix socket
  friend bool operator==(const Peer&, const Peer&) = default;
};

/// For whom a session asks.
struct Standing {
  core::ProcessId client;  ///< whose share it counts for; pid 0: its own
  core::Payer payer;
  friend bool operator==(const Standing&, const Standing&) = default;
};

/// How many slots there are.
struct SlotCount {
  int now = 1;
  core::SlotRange range;  ///< within which they follow the machine
};

/// From one number of a process to another one.
using PidsSeen = std::function<std::int32_t(std::int32_t)>;

/// What the dispatcher asks of the arbiter around it. All are called on its thread.
class DispatcherWorld {
 public:
  virtual ~DispatcherWorld() = default;
  /// The process that the client `peer` names. Nothing: it cannot be seen from here, or has ended.
  virtual std::optional<core::ProcessId> find(const Peer& peer,
                                              const wire::NamedProcess& named) = 0;
  /// Whether `who` is `ancestor` or descends from it now.
  [[nodiscard]] virtual bool is_below(core::ProcessId who, core::ProcessId ancestor) const = 0;
  /// Whether the environment that `who` was started with names this lease as the one above it.
  [[nodiscard]] virtual bool was_started_under(core::ProcessId who, core::LeaseId lease) const = 0;
  /// Dispatcher::process_ended() will be called for it. False: it has ended already.
  virtual bool watch(core::ProcessId who) = 0;
  /// `process`: of the session, if it is known; `under`: the lease that its environment names (0:
  /// none).
  virtual Standing standing(std::optional<core::ProcessId> process, core::LeaseId under,
                            bool launcher) = 0;
  /// A session with this standing asks: what covers it may have to be looked at anew.
  virtual void asks(const Standing& standing) = 0;
  /// A lease is to grow by up to so many slots at once, if nobody waits: supply what is free.
  virtual void offer_for_resize(int slots) = 0;
  [[nodiscard]] virtual SlotCount slots() const = 0;
  /// The number of slots is to change, 1..kMaxSlots, and to stay; tells the pool of leases, too.
  virtual void set_slots(int slots) = 0;
  virtual void set_paused(bool paused) = 0;
  /// Slots that the clients of the GNU make jobserver hold; slots that may be had now.
  [[nodiscard]] virtual int tokens_held() const = 0;
  [[nodiscard]] virtual int free_slots() const = 0;
  /// Processes of the build that ignore the pool, now.
  [[nodiscard]] virtual std::vector<wire::UncooperativeRow> uncooperative() const { return {}; }
  /// Jobs that are made to stand still, now.
  [[nodiscard]] virtual int frozen_jobs() const { return 0; }
  /// Fills in what a status tells of the build of a run, where there is one.
  virtual void describe_build(wire::StatusResult* /*status*/) const {}
  /// The numbers of our processes as `viewer` sees them; 0: it cannot.
  [[nodiscard]] virtual PidsSeen pids_seen_by(core::ProcessId /*viewer*/) const {
    return [](std::int32_t pid) { return pid; };
  }
};

}  // namespace tokenpool::session
