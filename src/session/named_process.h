// Whom a client of the protocol means when it names a process.
#pragma once

#include <optional>

#include "session/dispatcher.h"

namespace tokenpool::session {

/// See DispatcherWorld::find(): by what the kernel tells of the peer, else by pid and start time
/// among this user's processes.
std::optional<core::ProcessId> find_named(const Peer& peer, const wire::NamedProcess& named);

/// See DispatcherWorld::pids_seen_by().
PidsSeen pids_of_viewer(core::ProcessId viewer);

/// See DispatcherWorld::is_below().
bool is_below_process(core::ProcessId who, core::ProcessId ancestor);

/// See DispatcherWorld::was_started_under().
bool environment_names(core::ProcessId who, core::LeaseId lease);

}  // namespace tokenpool::session
