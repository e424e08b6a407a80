// `tokenpool serve`: an arbiter that stands alone, for whoever has its cookie.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/slot_range.h"
#include "wire/address.h"
#include "wire/error.h"

namespace tokenpool::serve {

struct ServeConfig {
  core::SlotRange slots;
  std::vector<wire::Address> listen;  ///< not empty, unless sockets were passed (systemd)
  std::vector<std::pair<std::string, int>> limits;  ///< of at most kMaxLimits types
  std::optional<std::string> cookie_file;  ///< else beside the first Unix socket, PATH.cookie
  bool allow_remote = false;               ///< serve a passed socket that is not of the loopback
  std::chrono::seconds standstill{5};      ///< until one slot more is supplied; 0: that is off
  bool quiet = false;                      ///< no line about what is served
};

/// Serves until SIGTERM or SIGINT: then nothing new is granted and the call returns when all leases
/// have ended, or at the next such signal. SIGHUP asks `reload` for slots and limits anew (an error
/// is said and changes nothing). Answers the status to exit with: 0, 125 when it cannot serve, 2
/// when `config` names no place for the cookie (both said on stderr in one line). Makes and removes
/// the sockets and their lock files; the cookie's file, mode 0600, stays, so that clients of this
/// server find the next one. Call it once, from a process without threads.
///
/// Sockets that the service manager passes (sd_listen_fds(3): LISTEN_PID, LISTEN_FDS) are served
/// besides, or instead of, those in `config`.
int serve(const ServeConfig& config, const std::function<wire::Result<ServeConfig>()>& reload);

}  // namespace tokenpool::serve
