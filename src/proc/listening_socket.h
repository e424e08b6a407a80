// Sockets that listen for clients of the protocol.
#pragma once

#include "wire/address.h"

namespace tokenpool::proc {

struct ListeningSocket {
  int fd = -1;            ///< close-on-exec, the caller's to close
  wire::Address address;  ///< with the port that the kernel chose where 0 was asked for
};

/// Listens. A Unix socket is made with mode 0600; its folder must exist, and its name must not, or
/// it fails. Error 125 says what was tried, why it failed and what to do.
wire::Result<ListeningSocket> listen_on(const wire::Address& address);

/// Whether somebody accepts connections there; false too for a name that is no socket.
bool is_served(const wire::Address& unix_address);

/// Makes every folder of `path` that is missing, the last one with mode 0700. Error 125 if one
/// cannot be made, or if the last one is open to others or belongs to another user.
wire::Result<void> make_private_folder(const std::string& path);

}  // namespace tokenpool::proc
