// Who holds what others wait for, in a few words. Pure.
#pragma once

#include <string>

#include "wire/protocol_results.h"

namespace tokenpool::session {

/// "bin/app (pid 7, 12s, 2 slots), make -C lib (pid 9, 4s, 3 tokens) and 4 more": the leases and
/// the holders of tokens of a status, those that hold the longest first; of tokens that nobody
/// knows the holder of their number. Empty: nobody holds anything.
std::string who_holds(const wire::StatusResult& status);

/// What `tokenpool exec` says when it has waited for `waited_ms` for `wanted` slots of `type`
/// (empty: none) and sees this.
std::string waiting_line(const wire::StatusResult& status, int wanted, const std::string& type,
                         std::int64_t waited_ms);

}  // namespace tokenpool::session
