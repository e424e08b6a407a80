// The environments around this process.
#pragma once

#include <optional>

#include "cli/surroundings.h"

namespace tokenpool::cli {

/// find_surroundings() for this process and its ancestors, as far as they may be looked at. A FIFO
/// is alive when somebody reads it.
std::optional<Surroundings> own_surroundings();

}  // namespace tokenpool::cli
