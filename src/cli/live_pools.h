// The arbiters that a person can have in mind: the user's server and runs, as a list of which one
// can be named.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "cli/page.h"
#include "cli/server_address.h"
#include "wire/error.h"
#include "wire/protocol_results.h"

namespace tokenpool::cli {

struct LivePool {
  Server server;
  std::optional<wire::StatusResult> status;  ///< none: it does not answer
  std::string result;                        ///< ... as it came, JSON
  [[nodiscard]] bool over() const { return status && status->run && status->run->over; }
};

/// Asks each of `servers` for its status; oldest first, those that do not answer last. Waits a
/// second at most for each. An arbiter that has two addresses among them is there once.
std::vector<LivePool> look_at_pools(const std::vector<Server>& servers);

/// The place of the one that `word` names: its number in the list (from 1), the pid of its run or
/// of its arbiter, or the folder in which the run was started, also as a path relative to `here` or
/// by its last part. Error 1: none is meant, or several are. Pure.
wire::Result<std::size_t> meant_pool(const std::vector<LivePool>& pools, const std::string& word,
                                     const std::string& here);

/// The only one whose command is not over, if there is one. Pure.
std::optional<std::size_t> only_living(const std::vector<LivePool>& pools);

/// "1 make -C lib (/home/me/src)", each of them, commas between: for a message. Pure.
std::string named_pools(const std::vector<LivePool>& pools);

/// The list: a table for people, and {"schema":"tokenpool-pools","version":1,"pools":[...]}, each
/// element the result of its status with `address` and `number`. Pure.
std::string pools_text(const std::vector<LivePool>& pools, const StatusView& view);
std::string pools_json(const std::vector<LivePool>& pools);

}  // namespace tokenpool::cli
