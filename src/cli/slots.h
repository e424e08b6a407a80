// The value of -j: how many slots a pool has.
#pragma once

#include <string_view>

#include "core/slot_range.h"
#include "wire/error.h"

namespace tokenpool::cli {

/// Reads `text`, the value of -j: a number of slots from 1 to core::kMaxSlots, "cpus" (`usable`),
/// "cpus-N" or "P%" of them (at least 1 each), MIN-MAX of such, or "auto" (1 to
/// core::kMaxSlotsPerCpu for each of `usable`). Everything else is an Error with status 2 whose
/// sentence begins with the value and says what to give. Pure.
wire::Result<core::SlotRange> parse_slots(std::string_view text, int usable);

}  // namespace tokenpool::cli
