// The last resort: no build hangs at zero load. When no slot is free and no process of the build
// has used the CPU, could run, or waits for a disk for some time (kStandstill), then whoever holds
// the slots is stuck (stopped, on a file server that is gone, in a deadlock of its own), and one
// token is minted (Pool::mint) so that the others go on. Pure.
//
// Jobs that all just wait, for a network or a clock, look the same. Then one job more runs on CPUs
// that idle, each time.
#pragma once

#include <chrono>
#include <optional>

#include "core/effect.h"

namespace tokenpool::core {

inline constexpr std::chrono::seconds kStandstill{5};
/// Looks in which everything stands still, at the least: a machine that slept was not idle.
inline constexpr int kStandstillLooks = 5;
/// CPUs that a build uses which stands still: timers that make, ninja and shells may have.
inline constexpr double kStillUse = 0.02;

/// One thread.
class Standstill {
 public:
  explicit Standstill(std::chrono::nanoseconds patience = kStandstill) : patience_(patience) {}
  /// Whether a token is to be minted now.
  bool look(bool stands_still, Instant now);
  /// It did stand still at the last look.
  [[nodiscard]] bool is_suspicious() const { return since_.has_value(); }

 private:
  std::chrono::nanoseconds patience_;
  std::optional<Instant> since_;
  int looks_ = 0;
};

}  // namespace tokenpool::core
