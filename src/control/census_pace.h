// When a walk over all processes of a build (proc/census.h) is worth what it costs. Pure.
//
//  * Not as long as signs that cost nothing explain everything: no more threads are runnable on the
//    whole machine than the build has slots in use, or its control group used no more and hardly
//    ever waited.
//  * Else every kBillingStep while somebody has too much, and while the signs have changed for the
//    worse since the last walk; every kCalmPause where a walk found nobody, for then it is
//    strangers who keep the machine busy.
//  * Never so often that it costs more than kSuspiciousShare or kCalmShare of one CPU in the long
//    run. Of the former, what was not spent may be spent at once, up to kCensusBurst: as many looks
//    at 10 000 processes as it takes to name one of them. After that they are looked at every
//    twenty seconds; 200 processes always twice a second.
#pragma once

#include <chrono>
#include <optional>

#include "core/effect.h"

namespace tokenpool::control {

inline constexpr std::chrono::nanoseconds kCalmPause = std::chrono::seconds(5);
inline constexpr double kSuspiciousShare = 0.005;
inline constexpr double kCalmShare = 0.001;
/// CPU time.
inline constexpr std::chrono::nanoseconds kCensusBurst = std::chrono::milliseconds(500);
/// So many glances in a row have to explain everything before what was suspected is forgotten.
inline constexpr int kGlancesToCalm = 4;

/// What can be told without a look at the processes. What is not known is left out.
struct LoadSigns {
  std::optional<double> use;       ///< CPUs that the build used
  std::optional<double> waiting;   ///< share of the time in which one of its threads had no CPU
  std::optional<double> runnable;  ///< threads of the machine that run or could
  friend bool operator==(const LoadSigns&, const LoadSigns&) = default;
};

class CensusPace {
 public:
  enum class Answer {
    nothing,  ///< to be done now
    walk,
    calm,  ///< everything has been explained for a while: nobody is to be suspected any more
  };
  /// A glance, every kBillingStep. `slots`: in use by the build, the implicit one included.
  Answer glance(const LoadSigns& signs, int slots, bool suspicious, core::Instant now);
  /// It was walked, at this cost. `suspicious`: somebody has too much, or nobody can tell yet.
  void walked(std::chrono::nanoseconds cost, bool suspicious, core::Instant now);

 private:
  [[nodiscard]] bool explains(const LoadSigns& signs, int slots) const;

  double runnable_ = 0;  ///< smoothed
  int calm_glances_ = 0;
  double level_ = 0;  ///< that the last walk explained
  double last_level_ = 0;
  core::Instant paid_until_{};  ///< all walks so far, at kSuspiciousShare
  core::Instant calm_until_{};
};

}  // namespace tokenpool::control
