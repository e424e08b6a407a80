// The environments around this process.
#pragma once

#include <optional>
#include <vector>

#include "cli/surroundings.h"

namespace tokenpool::cli {

/// find_surroundings() for this process and its ancestors, at most core::kMaxAncestors, as far as
/// they may be looked at. For one without TOKENPOOL_FIFO counts what the run kept whose FIFO it has
/// open (jobserver::kept_environment): a build that dropped its environment still has the
/// descriptors, and the front is above it. A FIFO is alive when somebody reads it.
std::optional<Surroundings> own_surroundings();

/// What the living ones of jobserver::run_folders() keep, where this process would run a build: the
/// environments of their builds, as far as they concern the pool.
std::vector<Environment> own_runs();

}  // namespace tokenpool::cli
