// The environments around this process.
#pragma once

#include <optional>

#include "cli/surroundings.h"

namespace tokenpool::cli {

/// find_surroundings() for this process and its ancestors, at most core::kMaxAncestors, as far as
/// they may be looked at. For one without TOKENPOOL_FIFO counts what the run kept whose FIFO it has
/// open (jobserver::kept_environment): a build that dropped its environment still has the
/// descriptors, and the front is above it. A FIFO is alive when somebody reads it.
std::optional<Surroundings> own_surroundings();

}  // namespace tokenpool::cli
