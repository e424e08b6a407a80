// The value of `--nice`.
#pragma once

#include <string>

#include "wire/error.h"

namespace tokenpool::cli {

/// A niceness, 0 to proc::kMaxNiceness. Error 2. Pure.
wire::Result<int> parse_nice(const std::string& word);

}  // namespace tokenpool::cli
