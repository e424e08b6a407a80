#include <string>

#include <unistd.h>

#include "core/limits.h"
#include "proc/peer.h"
#include "proc/pid_view.h"
#include "proc/process.h"
#include "session/named_process.h"

namespace tokenpool::session {

std::optional<core::ProcessId> find_named(const Peer& peer, const wire::NamedProcess& named) {
  if (peer.process) return proc::find_as_seen_by(*peer.process, named.pid, named.start);
  return proc::find_by_start(named.pid, named.start, ::geteuid());
}

PidsSeen pids_of_viewer(core::ProcessId viewer) {
  return [view = proc::PidView(viewer.pid)](std::int32_t pid) { return view.of(pid); };
}

bool is_below_process(core::ProcessId who, core::ProcessId ancestor) {
  std::size_t steps = 0;
  for (auto process = proc::read_process(who.pid); process && steps <= core::kMaxAncestors;
       ++steps) {
    if (process->id == ancestor) return true;
    process = proc::read_process(process->parent);
  }
  return false;
}

bool environment_names(core::ProcessId who, core::LeaseId lease) {
  return proc::environment_has(who.pid, "TOKENPOOL_LEASE=" + std::to_string(lease));
}

}  // namespace tokenpool::session
