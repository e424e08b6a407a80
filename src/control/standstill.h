// The last resort: no build hangs at zero load. When no slot is free and for some time
// (kStandstill) no process of the build has begun, ended, used the CPU, could run, or waited for a
// disk, whoever holds the slots is stuck (stopped, in a deadlock of its own), and one token is
// minted (Pool::mint) so that the others go on. One that only waits for a disk is given
// kDiskPatience times as long: then it is a file server that is gone. Pure.
//
// Jobs that all just wait, for a network or a clock, look the same. Then one job more runs on CPUs
// that idle, each time.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "core/effect.h"

namespace tokenpool::control {

inline constexpr std::chrono::seconds kStandstill{5};
inline constexpr int kDiskPatience = 12;
/// Looks in which everything stands still, at the least: a machine that slept was not idle.
inline constexpr int kStandstillLooks = 5;
inline constexpr std::chrono::seconds kLongestLookPause{1};
/// CPUs that a build uses which stands still: timers that make, ninja and shells may have.
inline constexpr double kStillUse = 0.02;

/// What the processes of a build do.
enum class Movement : std::uint8_t {
  some,  ///< somebody computes or could, comes or goes, or has a slot to take
  disk,  ///< at most they wait for disks
  none,
};

/// One thread.
class Standstill {
 public:
  explicit Standstill(std::chrono::nanoseconds patience = kStandstill) : patience_(patience) {}
  /// Between two looks. Without patience (0) there is nothing to look for.
  [[nodiscard]] std::chrono::nanoseconds pause() const;
  /// Whether a token is to be minted now.
  bool look(Movement movement, core::Instant now);

 private:
  /// Since when there was no more than that.
  struct Since {
    std::optional<core::Instant> first;
    int looks = 0;
  };
  static bool is_over(Since* since, bool still, std::chrono::nanoseconds patience,
                      core::Instant now);

  std::chrono::nanoseconds patience_;
  Since none_;
  Since disk_;
};

}  // namespace tokenpool::control
