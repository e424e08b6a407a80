// The value of -j: how many slots the pool of a run has.
#pragma once

#include <string_view>

#include "wire/error.h"

namespace tokenpool::cli {

/// Reads `text`, the value of -j: "auto" (answers `usable`) or a number of slots from 1 to
/// core::kMaxSlots. Everything else is an Error with status 2 whose sentence begins with the value
/// and says what to give. Pure.
wire::Result<int> parse_slots(std::string_view text, int usable);

}  // namespace tokenpool::cli
