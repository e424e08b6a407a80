// The value of `--standstill`.
#pragma once

#include <chrono>
#include <string>

#include "wire/error.h"

namespace tokenpool::cli {

/// Seconds from 1 to 86400; "off": 0. Else status 2.
wire::Result<std::chrono::seconds> parse_standstill(const std::string& word);

}  // namespace tokenpool::cli
