// The values of `--limit`.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "wire/error.h"

namespace tokenpool::cli {

/// Reads words TYPE=N, N from 0 to core::kMaxSlots: at most N jobs of that type run at one time. Of
/// a type that is named twice the last one counts. Error 2: one is wrong, or there are more than
/// core::kMaxLimits types. Pure.
wire::Result<std::map<std::string, int>> parse_type_limits(const std::vector<std::string>& words);

}  // namespace tokenpool::cli
