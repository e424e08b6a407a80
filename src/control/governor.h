// The governor: how many slots an elastic pool (`-j MIN-MAX`, `-j auto`) has from moment to moment,
// so that the CPUs are in use and not over-used. Pure: it is told samples, and answers a number.
//
// Slots are an actuator that reacts late (a job needs up to a second to show as load) and only one
// way (a token that is out cannot be called back, only not be issued again). So the law is
// feed-forward with a dead band, not a PID loop (facts/scheduling.md 3.2). Each kGovernorStep:
//  * Pending are the slots that went into use within kPendingWindow, each counted the less the
//    older it is: their load may not be visible yet. E, what a slot is expected to use, is what
//    the build uses for one, at least a quarter of a CPU and at most one; it is one while half of
//    those in use or more are pending.
//    U = use of the machine + E * pending. U < 0.96 C twice in a row while every slot is in use:
//    as many more as fill three quarters of C - U at E each, rounded up, but not so many that by
//    what a slot uses now they would be an overload; none while there is one.
//  * While the build does nothing but wait for a disk for kDiskBusyAbove of the time (PSI's "full"
//    for io, in a mean over about two seconds), CPUs are idle because of the disk: no more slots.
//  * demand (use + time that runnable threads waited, in a mean over about two seconds) is an
//    overload for kOverloadWindow: as many fewer as bring it half way from there to 1.02 C. Those
//    that are out are withheld as they come back; as long as they have not, nothing more is taken
//    away on their account. What that did is seen only after twice the time.
//  * Overload is more than 1.15 C and more than C + sqrt(C). Jobs that compute and sleep at random
//    are now and then so many more at one place, and to keep few CPUs busy they have to be (the
//    square-root rule by which telephone exchanges are staffed, Halfin and Whitt 1981).
// C is what the machine lets us have: allowed CPUs or the control group's quota, less what the
// hypervisor took. Between both bounds nothing changes, whatever the noise. What the constants do
// on machines of 1 to 64 CPUs, beside a fixed -j and the load average, is asserted in sim/traces;
// below 0.96 large machines stay further than 5 % from the best fixed -j.
#pragma once

#include <chrono>
#include <deque>
#include <optional>

#include "core/effect.h"

namespace tokenpool::control {

inline constexpr std::chrono::nanoseconds kGovernorStep = std::chrono::milliseconds(250);
inline constexpr std::chrono::nanoseconds kPendingWindow = std::chrono::seconds(1);
inline constexpr std::chrono::nanoseconds kOverloadWindow = std::chrono::seconds(1);
/// Fractions of the capacity C.
inline constexpr double kIdleBelow = 0.96;
inline constexpr double kOverloadAbove = 1.15;
inline constexpr double kRelievedAt = 1.02;
/// More of the time than this, nobody could get on for want of the disk: more jobs make it slower.
inline constexpr double kDiskBusyAbove = 0.25;
/// However much its jobs sleep, `-j auto` has no more slots than so many for each CPU. Who names a
/// MAX knows what the jobs wait for: other machines, downloads.
inline constexpr int kMaxSlotsPerCpu = 3;

/// What the machine did since the sample before; in CPUs (seconds per second).
struct LoadSample {
  double use = 0;          ///< by everybody, on the CPUs that we may use
  double own = 0;          ///< of `use`, by the build
  double delay = 0;        ///< by threads that were runnable and did not run
  double capacity = 1;     ///< that could be had, > 0
  double disk_stall = 0;   ///< part of the time in which all that was to do waited for a disk
  int in_use = 0;          ///< slots, now; the implicit one included
  bool exhausted = false;  ///< no slot is free: somebody may wait for one
};

class Governor {
 public:
  /// 1 <= min <= start <= max <= kMaxSlots.
  Governor(int min, int max, int start);

  /// The next sample, kGovernorStep after the last one. Answers how many slots there should be from
  /// now on, within min..max.
  int step(const LoadSample& sample, core::Instant now);
  [[nodiscard]] int slots() const { return slots_; }

 private:
  struct Start {  ///< of jobs
    core::Instant at{};
    int count = 0;
  };

  void note_starts(int in_use, core::Instant now);
  [[nodiscard]] double pending(core::Instant now) const;
  [[nodiscard]] int more(const LoadSample& sample, double expected, double each) const;

  int min_;
  int max_;
  int slots_;
  int in_use_ = 0;
  int idle_samples_ = 0;
  double use_ = 0;  ///< smoothed, as is the next
  double delay_ = 0;
  double disk_stall_ = 0;
  std::optional<core::Instant> overloaded_since_;
  std::deque<Start> starts_;
};

}  // namespace tokenpool::control
