#include "control/governor.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "core/limits.h"

namespace tokenpool::control {
namespace {

/// Of the newest sample in a mean over about two seconds.
constexpr double kSmoothing = 0.15;

/// CPUs that a job is expected to use at the least: those before it may just have waited.
constexpr double kLeastOfJob = 0.25;

/// Of the gap that is filled at once: a job may use more than those before it did.
constexpr double kOfGap = 0.75;

/// Where many come and go at random, as many as the square root of their mean are at one place by
/// chance (the rule by which telephone exchanges are staffed): that is no overload yet.
double overload(double capacity) {
  return std::max(kOverloadAbove * capacity, capacity + std::sqrt(capacity));
}

}  // namespace

Governor::Governor(int min, int max, int start) : min_(min), max_(max), slots_(start) {
  TOKENPOOL_CHECK(1 <= min && min <= start && start <= max && max <= core::kMaxSlots);
}

void Governor::note_starts(int in_use, core::Instant now) {
  while (!starts_.empty() && now - starts_.front().at >= kPendingWindow) starts_.pop_front();
  // Those that began since the last sample did so just now, for all that is known.
  if (in_use > in_use_) starts_.push_back({now, in_use - in_use_});
  in_use_ = in_use;
}

double Governor::pending(core::Instant now) const {
  double sum = 0;
  for (const Start& start : starts_) {
    const std::chrono::duration<double> age = now - start.at;
    sum += start.count * (1 - age / kPendingWindow);
  }
  return sum;
}

int Governor::more(const LoadSample& sample, double expected, double each) const {
  const double gap = sample.capacity - expected;
  int count = static_cast<int>(std::ceil(kOfGap * gap / each));
  if (sample.in_use > 0 && sample.own > 0) {
    const double room = overload(sample.capacity) - expected - delay_;
    const double of_slot = sample.own / sample.in_use;
    count = std::min(count, static_cast<int>(std::min<double>(room / of_slot, core::kMaxSlots)));
  }
  return std::min(count, max_ - slots_);
}

int Governor::step(const LoadSample& sample, core::Instant now) {
  TOKENPOOL_CHECK(sample.capacity > 0);
  note_starts(sample.in_use, now);

  delay_ += kSmoothing * (sample.delay - delay_);
  use_ += kSmoothing * (sample.use - use_);
  disk_stall_ += kSmoothing * (sample.disk_stall - disk_stall_);
  const double demand = use_ + delay_;
  if (demand <= overload(sample.capacity)) {
    overloaded_since_.reset();
  } else if (!overloaded_since_) {
    overloaded_since_ = now;
  } else if (now - *overloaded_since_ >= kOverloadWindow) {
    // Jobs have to end before less is demanded, and it is a mean over two seconds.
    overloaded_since_ = now + kOverloadWindow;
    const auto excess = static_cast<int>(
        std::lround(demand - (kRelievedAt * sample.capacity + overload(sample.capacity)) / 2));
    const int out = std::max(slots_, sample.in_use);
    slots_ = std::max(min_, std::min(slots_, out - excess));
  }

  const double begun = pending(now);
  // What a slot will use is known when most of them have shown it.
  const bool known = begun < sample.in_use / 2.0;
  const double each = known ? std::clamp(sample.own / sample.in_use, kLeastOfJob, 1.0) : 1;
  const double expected = sample.use + each * begun;
  const bool idle = sample.exhausted && !overloaded_since_ && disk_stall_ <= kDiskBusyAbove &&
                    expected < kIdleBelow * sample.capacity;
  idle_samples_ = idle ? idle_samples_ + 1 : 0;
  if (idle_samples_ >= 2) {
    slots_ += std::max(0, more(sample, expected, each));
    idle_samples_ = 0;
  }
  return slots_;
}

}  // namespace tokenpool::control
