// A labelled set of builds, cooperative and not, told to the billing as a census would tell them:
// every half second, with noise. Recall: of the processes that ignore the pool, those that are
// named. Precision: of those named, the ones that ignore it. Both are printed and have to be 1.
#include <algorithm>
#include <cstdio>
#include <functional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "control/billing.h"

namespace tokenpool::control {
namespace {

using namespace std::chrono_literals;

constexpr std::int32_t kRoot = 1;
constexpr std::int32_t kCommand = 10;

/// What there is in one half second. The pid of a process is its start time.
class Scene {
 public:
  Scene(int number, std::mt19937* random) : number_(number), random_(random) {
    sample.root = kRoot;
  }

  /// `demand` CPUs, more or less; what is 0 stays 0.
  Scene& has(std::int32_t pid, std::int32_t parent, double demand, double reaped = 0) {
    sample.loads.push_back({id(pid), parent, noisy(demand), noisy(reaped), kLeastUse});
    return *this;
  }
  Scene& holds(std::int32_t pid, int slots, bool client = true) {
    sample.holdings.push_back({id(pid), slots, client});
    return *this;
  }
  /// `count` jobs of `parent` from `first` on.
  Scene& jobs(std::int32_t first, int count, std::int32_t parent, double demand) {
    for (int i = 0; i < count; ++i) has(first + i, parent, demand);
    return *this;
  }
  /// Seconds since the build began.
  [[nodiscard]] double time() const { return number_ * 0.5; }
  /// Within the first `length` of every `period` seconds.
  [[nodiscard]] bool during(double period, double length) const {
    return time() - period * static_cast<int>(time() / period) < length;
  }
  int chance(int below) { return std::uniform_int_distribution<int>(0, below - 1)(*random_); }

  BillingSample sample;

 private:
  static core::ProcessId id(std::int32_t pid) { return {pid, static_cast<std::uint64_t>(pid)}; }
  // A clock tick in half a second is 2 %, and the moments of reading are not exactly apart.
  double noisy(double value) {
    return value * std::uniform_real_distribution<double>(0.95, 1.05)(*random_);
  }

  int number_;
  std::mt19937* random_;
};

struct Trace {
  std::string name;
  std::set<std::int32_t> ignoring;  ///< the processes that ignore the pool
  std::function<void(Scene&)> play;
};

void full_make(Scene& scene, int slots) {
  scene.has(kCommand, kRoot, 0.15).holds(kCommand, slots - 1);
  scene.jobs(100, slots - 1, kCommand, 1);
}

std::vector<Trace> cooperative() {
  return {
      {"one compiler", {}, [](Scene& s) { s.has(kCommand, kRoot, 1); }},
      {"make -j4, all slots busy",
       {},
       [](Scene& s) {
         full_make(s, 4);
         s.has(150, kCommand, 1);
       }},
      {"make -j16, gcc -pipe: cc1plus and as at once",
       {},
       [](Scene& s) {
         s.has(kCommand, kRoot, 0.3).holds(kCommand, 15);
         for (int job = 0; job < 16; ++job) {
           s.has(100 + job, kCommand, 0).has(200 + job, 100 + job, 0.95);
           s.has(300 + job, 100 + job, 0.12);
         }
       }},
      {"jobs of 10 ms: all of them are dead when they are looked at",
       {},
       [](Scene& s) {
         s.has(kCommand, kRoot, 0.7, 1.9).holds(kCommand, 1);
         s.has(100 + s.chance(1000), kCommand, 0);
       }},
      {"tokens that come and go",
       {},
       [](Scene& s) {
         const int held = s.chance(4);
         s.has(kCommand, kRoot, 0.2, 3.2 - held * 0.8).holds(kCommand, std::max(held, 2));
         s.jobs(100 + 10 * s.chance(50), held, kCommand, 0.8);
       }},
      {"a linker with eight threads for one second of ten",
       {},
       [](Scene& s) { s.has(kCommand, kRoot, 0).has(20, kCommand, s.during(10, 1) ? 8 : 0.7); }},
      {"every compiler starts with a burst",
       {},
       [](Scene& s) { s.has(kCommand, kRoot, 0).has(20, kCommand, s.during(2, 0.5) ? 3 : 0.9); }},
      {"exec --slots 2 with two threads below make -j2",
       {},
       [](Scene& s) {
         s.has(kCommand, kRoot, 0).holds(kCommand, 0).has(20, kCommand, 0.01).holds(20, 1, false);
         s.has(21, 20, 2);
       }},
      {"rustc with three tokens and four threads",
       {},
       [](Scene& s) { s.has(kCommand, kRoot, 0).has(20, kCommand, 4).holds(20, 3); }},
      {"sub-makes, each with tokens of its own",
       {},
       [](Scene& s) {
         s.has(kCommand, kRoot, 0.05).holds(kCommand, 3);
         for (int sub = 0; sub < 4; ++sub) {
           s.has(20 + sub, kCommand, 0.2).holds(20 + sub, 2);
           s.jobs(100 + 10 * sub, 3, 20 + sub, 1);
         }
       }},
      {"jobs that sleep, one that works for them",
       {},
       [](Scene& s) {
         full_make(s, 8);
         s.sample.loads.back().demand = 0;
       }},
      {"the job of a make that was killed goes on with its token",
       {},
       [](Scene& s) {
         full_make(s, 4);
         s.has(30, kRoot, 0).holds(30, 1, false).has(31, 30, 1);
       }},
      {"a daemon compiles for clients that wait",
       {},
       [](Scene& s) {
         s.has(kCommand, kRoot, 0.1).holds(kCommand, 3).jobs(100, 4, kCommand, 0.02);
         s.has(40, kRoot, 3.8);
       }},
      {"nobody knows who holds (no tracker), make -j8",
       {},
       [](Scene& s) {
         s.has(kCommand, kRoot, 0.3).jobs(100, 8, kCommand, 1);
         s.sample.loose = 7;
       }},
      {"a pipeline of three, of which one works",
       {},
       [](Scene& s) {
         s.has(kCommand, kRoot, 0).has(20, kCommand, 0.9).has(21, kCommand, 0.2);
         s.has(22, kCommand, 0.1);
       }},
      {"idle", {}, [](Scene& s) { s.has(kCommand, kRoot, 0); }},
  };
}

std::vector<Trace> uncooperative() {
  return {
      {"make -j4 with a pool of its own, below make -j4",
       {31},
       [](Scene& s) {
         full_make(s, 4);
         s.has(30, kCommand, 0).has(31, 30, 0.1).jobs(200, 4, 31, 1);
       }},
      {"the same with jobs of 10 ms",
       {31},
       [](Scene& s) {
         full_make(s, 4);
         s.has(30, kCommand, 0).has(31, 30, 0.4, 3.1);
       }},
      {"xargs -P4 as the command",
       {kCommand},
       [](Scene& s) { s.has(kCommand, kRoot, 0.01).jobs(200, 4, kCommand, 1); }},
      {"xargs -P4 below a shell",
       {21},
       [](Scene& s) { s.has(kCommand, kRoot, 0).has(21, kCommand, 0.01).jobs(200, 4, 21, 1); }},
      {"a link with 16 threads, below make -j16 that waits for it",
       {21},
       [](Scene& s) {
         s.has(kCommand, kRoot, 0).holds(kCommand, 0).has(20, kCommand, 0).has(21, 20, 16);
         s.sample.loads[1].demand = 0;
       }},
      {"a compiler that works as two",
       {20},
       [](Scene& s) { s.has(kCommand, kRoot, 0).has(20, kCommand, 2.1); }},
      {"after half a minute of good conduct",
       {90},
       [](Scene& s) {
         full_make(s, 4);
         s.has(90, kCommand, s.time() < 30 ? 1 : 4);
       }},
      {"two jobs, each with four threads",
       {90, 91},
       [](Scene& s) {
         s.has(kCommand, kRoot, 0.15).holds(kCommand, 4).jobs(100, 3, kCommand, 1);
         s.has(90, kCommand, 4).has(91, kCommand, 4.2);
       }},
      {"a daemon that compiles for itself",
       {40},
       [](Scene& s) {
         full_make(s, 4);
         s.has(150, kCommand, 1).has(40, kRoot, 3);
       }},
      {"cargo's linker below a sub-make with tokens",
       {52},
       [](Scene& s) {
         s.has(kCommand, kRoot, 0.05).holds(kCommand, 1).jobs(100, 1, kCommand, 1);
         s.has(50, kCommand, 0.1).holds(50, 1).has(51, 50, 1).has(52, 50, 5);
       }},
      {"exec --slots 2 with eight threads",
       {21},
       [](Scene& s) {
         s.has(kCommand, kRoot, 0).holds(kCommand, 0).has(20, kCommand, 0.01).holds(20, 1, false);
         s.has(21, 20, 8);
       }},
      {"no tracker: make -j12 with its own pool in a pool of four",
       {kCommand},
       [](Scene& s) {
         s.has(kCommand, kRoot, 0.3).jobs(100, 12, kCommand, 1);
         s.sample.loose = 3;
       }},
      {"it comes back after every pause of ten seconds",
       {20},
       [](Scene& s) { s.has(kCommand, kRoot, 0).has(20, kCommand, s.during(20, 10) ? 4 : 0.5); }},
  };
}

std::set<std::int32_t> named_in(const Trace& trace, std::uint32_t seed) {
  std::mt19937 random(seed);
  Billing billing;
  std::set<std::int32_t> named;
  for (int number = 0; number < 120; ++number) {
    Scene scene(number, &random);
    trace.play(scene);
    for (const auto& accusation : billing.step(scene.sample, kBillingStep * (number + 1))) {
      named.insert(accusation.who.pid);
    }
  }
  return named;
}

TEST(BillingTracesTest, RecallAndPrecision) {
  constexpr std::uint32_t kSeeds = 20;
  std::size_t ignoring = 0;
  std::size_t found = 0;
  std::size_t named_at_all = 0;
  const auto play = [&](const Trace& trace) {
    for (std::uint32_t seed = 1; seed <= kSeeds; ++seed) {
      const auto named = named_in(trace, seed);
      ignoring += trace.ignoring.size();
      named_at_all += named.size();
      for (const std::int32_t pid : named) found += trace.ignoring.contains(pid) ? 1 : 0;
      EXPECT_EQ(named, trace.ignoring) << trace.name << ", seed " << seed;
    }
  };
  const auto good = cooperative();
  const auto bad = uncooperative();
  std::for_each(good.begin(), good.end(), play);
  std::for_each(bad.begin(), bad.end(), play);
  const double recall = static_cast<double>(found) / static_cast<double>(ignoring);
  const double precision = static_cast<double>(found) / static_cast<double>(named_at_all);
  std::printf(
      "%zu cooperative and %zu uncooperative builds, %u seeds: recall %.3f, precision %.3f\n",
      good.size(), bad.size(), kSeeds, recall, precision);
  EXPECT_EQ(recall, 1);
  EXPECT_EQ(precision, 1);
}

/// Samples until somebody is named who ignores the pool from the beginning.
TEST(BillingTracesTest, NamedWithinThreeSeconds) {
  for (const Trace& trace : uncooperative()) {
    if (trace.name.starts_with("after half a minute")) continue;
    std::mt19937 random(1);
    Billing billing;
    int samples = 0;
    for (bool named = false; !named && samples < 100; ++samples) {
      Scene scene(samples, &random);
      trace.play(scene);
      named = !billing.step(scene.sample, kBillingStep * (samples + 1)).empty();
    }
    // Half a second until the first look, which begins the first sample.
    EXPECT_LE((samples + 1) * kBillingStep, 3s) << trace.name;
  }
}

}  // namespace
}  // namespace tokenpool::control
