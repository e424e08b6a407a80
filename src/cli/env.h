// `tokenpool env`: the variables of the pool that surrounds this process, or of a server.
#pragma once

#include <string>
#include <vector>

#include "cli/server_address.h"
#include "cli/surroundings.h"

namespace tokenpool::cli {

/// `words` are those after "env". Prints on stdout and answers the status to exit with: 0, 1 after
/// one line on stderr when no pool surrounds this process or --server's cookie is not to be had, 2
/// when the words make no sense. Whether the server answers is not tried.
int env(const std::vector<std::string>& words);

/// What brings a shell with the environment `own` to `server`: a lease of another arbiter means
/// nothing there. Pure.
Surroundings surroundings_of(const Server& server, const Environment& own);

}  // namespace tokenpool::cli
