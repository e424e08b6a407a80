#include <algorithm>
#include <cmath>

#include "core/limits.h"
#include "sim/traces/replay.h"

namespace tokenpool::traces {
namespace {

class Fixed : public Policy {
 public:
  explicit Fixed(int slots) : slots_(slots) {}
  int room(const Moment& moment) override { return slots_ - moment.running; }
  [[nodiscard]] int slots() const override { return slots_; }

 private:
  int slots_;
};

class Make : public Fixed {
 public:
  Make(int slots, int cpus) : Fixed(slots), cpus_(cpus) {}

  int room(const Moment& moment) override {
    if (moment.ended == 0 && moment.now < next_look_) return 0;
    next_look_ = moment.now + std::chrono::seconds(1);
    // With itself there are runnable + 1, and each that it starts is one more.
    const int below = cpus_ - moment.runnable;
    return std::min(Fixed::room(moment), std::max(below, moment.running == 0 ? 1 : 0));
  }

 private:
  int cpus_;
  core::Instant next_look_{};
};

class Ninja : public Fixed {
 public:
  Ninja(int slots, int cpus) : Fixed(slots), cpus_(cpus) {}

  int room(const Moment& moment) override {
    // The kernel brings its average up to date each 5 s, from who is runnable then
    // (proc_loadavg(5)).
    while (moment.now >= next_update_) {
      average_ += (moment.runnable - average_) * (1 - std::exp(-5.0 / 60));
      next_update_ += std::chrono::seconds(5);
    }
    if (moment.ended == 0 && moment.running > 0) return 0;
    const int below = static_cast<int>(cpus_ - average_);
    return std::min(Fixed::room(moment), std::max(below, moment.running == 0 ? 1 : 0));
  }

 private:
  int cpus_;
  double average_ = 0;
  core::Instant next_update_ = std::chrono::seconds(5);
};

class Governed : public Policy {
 public:
  explicit Governed(int cpus)
      : governor_(1, std::min(control::kMaxSlotsPerCpu * cpus, core::kMaxSlots), cpus) {}
  int room(const Moment& moment) override { return slots() - moment.running; }
  void step(const control::LoadSample& sample, core::Instant now) override {
    governor_.step(sample, now);
  }
  [[nodiscard]] int slots() const override { return governor_.slots(); }

 private:
  control::Governor governor_;
};

}  // namespace

std::unique_ptr<Policy> fixed_slots(int slots) { return std::make_unique<Fixed>(slots); }

std::unique_ptr<Policy> runnable_of_make(int slots, int cpus) {
  return std::make_unique<Make>(slots, cpus);
}

std::unique_ptr<Policy> load_average_of_ninja(int slots, int cpus) {
  return std::make_unique<Ninja>(slots, cpus);
}

std::unique_ptr<Policy> governed(int cpus) { return std::make_unique<Governed>(cpus); }

}  // namespace tokenpool::traces
