// Who is at the other end of a socket, and whom it means when it names a process.
#pragma once

#include <cstdint>
#include <optional>

#include <sys/types.h>

#include "core/process_id.h"

namespace tokenpool::proc {

struct SocketPeer {
  uid_t user = 0;
  /// The process that made the connection, if it can be seen from this PID namespace and lives.
  std::optional<core::ProcessId> process;
};

/// The peer of a connected Unix socket (SO_PEERCRED, unix(7)). Nothing: it is none.
std::optional<SocketPeer> peer_of(int socket);

/// The living process that `viewer` means by `pid`, a number in the viewer's PID namespace
/// (pid_namespaces(7)); `start` is its start time as the viewer reads it, 0: not given. Nothing
/// when it cannot be seen from here, has ended, or started at another time. In another namespace it
/// is looked for among the viewer and its descendants.
std::optional<core::ProcessId> find_as_seen_by(core::ProcessId viewer, pid_t pid,
                                               std::uint64_t start);

/// The living process `pid` of user `user` that started at `start`, which must be given: for a
/// client of which the kernel tells nothing.
std::optional<core::ProcessId> find_by_start(pid_t pid, std::uint64_t start, uid_t user);

}  // namespace tokenpool::proc
