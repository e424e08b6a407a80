// Signals that cannot hit somebody else who has the number of a process by then: the descriptor
// names whoever has it when it is opened, and if that is the one that is meant, it stays so.
//
// Sources: pidfd_open(2), pidfd_send_signal(2). Thread-safe: no state.
#pragma once

#include <cstdint>
#include <functional>

#include <sys/types.h>

#include "core/process_id.h"

namespace tokenpool::proc {

enum class Sent : std::uint8_t { yes, gone, refused };

/// Sends `signal` to the process `who`. Sent::gone: it has ended. Sent::refused: it lives and may
/// not be signalled. Before Linux 5.3, or with no descriptor left, it is looked at right before
/// kill(2).
Sent send_signal(core::ProcessId who, int signal);

/// The same to whoever has the number `pid`, if `is_meant` answers true; else Sent::gone. It is
/// asked once, when another process can no longer take the signal.
Sent send_signal_if(pid_t pid, int signal, const std::function<bool()>& is_meant);

}  // namespace tokenpool::proc
