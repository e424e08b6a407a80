#include <unistd.h>

#include "host/named_process.h"
#include "proc/peer.h"

namespace tokenpool::host {

std::optional<core::ProcessId> find_named(const Peer& peer, const wire::NamedProcess& named) {
  if (peer.process) return proc::find_as_seen_by(*peer.process, named.pid, named.start);
  return proc::find_by_start(named.pid, named.start, ::geteuid());
}

}  // namespace tokenpool::host
