// The time of the arbiter: what core/ is told.
#pragma once

#include <chrono>

#include "core/effect.h"

namespace tokenpool::proc {

/// The steady clock, which EventLoop's deadlines count by as well.
inline core::Instant now() {
  return std::chrono::duration_cast<core::Instant>(
      std::chrono::steady_clock::now().time_since_epoch());
}

}  // namespace tokenpool::proc
