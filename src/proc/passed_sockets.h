// Sockets that the service manager has opened for this process (socket activation,
// sd_listen_fds(3)).
#pragma once

#include <vector>

#include "proc/listening_socket.h"

namespace tokenpool::proc {

/// How many there are to be taken, by LISTEN_PID and LISTEN_FDS; 0 also when they are meant for
/// another process.
int count_passed_sockets();

/// Takes them, each listening, and the variables out of the environment. Error 125: one is neither
/// a Unix stream socket with a path nor a TCP one. Call it once, from a process without threads.
wire::Result<std::vector<ListeningSocket>> take_passed_sockets();

}  // namespace tokenpool::proc
