#include "control/census_pace.h"

#include <algorithm>

#include "control/billing.h"

namespace tokenpool::control {
namespace {

/// Of a new reading in the mean number of runnable threads: one reading says little.
constexpr double kNewest = 0.4;

/// A group whose threads had to wait less than this wanted hardly more than it used.
constexpr double kHardlyWaits = 0.1;

std::chrono::nanoseconds pause_for(std::chrono::nanoseconds cost, double share) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(cost / share);
}

}  // namespace

bool CensusPace::explains(const LoadSigns& signs, int slots) const {
  const double enough = slots + kTolerated;
  if (signs.runnable && std::max(runnable_, *signs.runnable) <= enough) return true;
  return signs.use && signs.waiting && *signs.use <= enough && *signs.waiting < kHardlyWaits;
}

CensusPace::Answer CensusPace::glance(const LoadSigns& signs, int slots, bool suspicious,
                                      core::Instant now) {
  if (signs.runnable) runnable_ += kNewest * (*signs.runnable - runnable_);
  // Where all CPUs are in use, what is used tells nothing of what is wanted.
  const double level = std::max(signs.use.value_or(0), runnable_);
  last_level_ = std::max(level, signs.runnable.value_or(0));
  if (explains(signs, slots)) {
    if (++calm_glances_ >= kGlancesToCalm) return Answer::calm;
    if (!suspicious) return Answer::nothing;
  } else {
    calm_glances_ = 0;
  }
  if (paid_until_ - now > pause_for(kCensusBurst, kSuspiciousShare)) return Answer::nothing;
  const bool worse = level > level_ + kTolerated;
  return suspicious || worse || now >= calm_until_ ? Answer::walk : Answer::nothing;
}

void CensusPace::walked(std::chrono::nanoseconds cost, bool suspicious, core::Instant now) {
  paid_until_ = std::max(paid_until_, now) + pause_for(cost, kSuspiciousShare);
  calm_until_ = suspicious ? now : now + std::max(kCalmPause, pause_for(cost, kCalmShare));
  level_ = last_level_;
}

}  // namespace tokenpool::control
