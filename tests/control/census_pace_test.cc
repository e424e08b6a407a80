// One test per sentence of control/census_pace.h.
#include "control/census_pace.h"

#include <gtest/gtest.h>

#include "control/billing.h"

namespace tokenpool::control {
namespace {

using namespace std::chrono_literals;
using Answer = CensusPace::Answer;

class CensusPaceTest : public testing::Test {
 protected:
  Answer glance(const LoadSigns& signs, int slots, bool suspicious = false) {
    now += kBillingStep;
    return pace.glance(signs, slots, suspicious, now);
  }
  /// Walks in `seconds`, each at that cost.
  int walks(const LoadSigns& signs, bool suspicious, std::chrono::nanoseconds cost, int seconds) {
    int count = 0;
    for (int i = 0; i < 2 * seconds; ++i) {
      if (glance(signs, 2, suspicious) != Answer::walk) continue;
      ++count;
      pace.walked(cost, suspicious, now);
    }
    return count;
  }
  static LoadSigns runnable(double threads) { return {{}, {}, threads}; }

  core::Instant now = 100s;
  CensusPace pace;
};

TEST_F(CensusPaceTest, NobodyLooksWhileTheMachineRunsNoMoreThanTheSlots) {
  for (int i = 0; i < 20; ++i) EXPECT_NE(glance(runnable(2), 2), Answer::walk);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(glance(runnable(8), 8), Answer::calm);
}

TEST_F(CensusPaceTest, NorWhileTheGroupUsesNoMoreAndDoesNotWait) {
  for (int i = 0; i < 20; ++i) EXPECT_NE(glance({2.4, 0.05, 40}, 2), Answer::walk);
  EXPECT_EQ(glance({2.4, 0.5, 40}, 2), Answer::walk) << "it would have used more";
  EXPECT_EQ(glance({2.6, 0.0, 40}, 2), Answer::walk);
  EXPECT_EQ(glance({2.4, {}, 40}, 2), Answer::walk) << "whether it waits is not known";
}

TEST_F(CensusPaceTest, WithoutASignItLooks) { EXPECT_EQ(glance({}, 2), Answer::walk); }

TEST_F(CensusPaceTest, SomebodySuspectedIsLookedAtEachTime) {
  EXPECT_EQ(walks(runnable(6), true, 1ms, 10), 20);
}

TEST_F(CensusPaceTest, StrangersAreLookedAtEveryFiveSeconds) {
  EXPECT_EQ(walks(runnable(6), false, 1ms, 50), 10);
}

TEST_F(CensusPaceTest, AChangeForTheWorseIsLookedAtAtOnce) {
  for (int i = 0; i < 20; ++i) (void)glance(runnable(6), 2);
  EXPECT_EQ(glance(runnable(6), 2), Answer::walk);
  pace.walked(1ms, false, now);
  EXPECT_EQ(glance(runnable(6), 2), Answer::nothing);
  EXPECT_EQ(glance(runnable(9), 2), Answer::walk);
}

TEST_F(CensusPaceTest, WhereAllCpusAreInUseMoreThatWantOneAreAChange) {
  const LoadSigns before{2.0, 0.9, 5};
  for (int i = 0; i < 20; ++i) (void)glance(before, 2);
  pace.walked(1ms, false, now);
  EXPECT_EQ(glance(before, 2), Answer::nothing);
  EXPECT_EQ(glance({2.0, 0.9, 8}, 2), Answer::walk);
}

TEST_F(CensusPaceTest, OfTenThousandProcessesOneIsFoundAsSoonAsOfTen) {
  // The first walk tells no rates.
  EXPECT_EQ(walks(runnable(6), true, 100ms, 2), 1 + kSamplesToAccuse);
}

TEST_F(CensusPaceTest, TenThousandProcessesCostNoMoreThanTheirShare) {
  const int burst = walks(runnable(6), true, 100ms, 20);
  EXPECT_LE(burst, kCensusBurst / 100ms + 1);
  EXPECT_EQ(walks(runnable(6), true, 100ms, 1000), 50);
}

TEST_F(CensusPaceTest, WhatWasSpentAtOnceIsSavedBeforeTheNextTime) {
  const int burst = walks(runnable(6), true, 100ms, 20);
  now += 30s;
  EXPECT_EQ(walks(runnable(6), true, 100ms, 5), 2) << "50 s at half a percent are 250 ms";
  now += 200s;
  EXPECT_EQ(walks(runnable(6), true, 100ms, 20), burst) << "nothing is saved beyond that";
}

TEST_F(CensusPaceTest, StrangersBesideTenThousandProcessesAreLookedAtLessOften) {
  EXPECT_EQ(walks(runnable(6), false, 100ms, 1000), 10);
}

TEST_F(CensusPaceTest, OneQuietGlanceIsNoCalm) {
  for (int i = 0; i < 10; ++i) EXPECT_EQ(glance(runnable(6), 2, true), Answer::walk);
  for (int i = 0; i < 6; ++i)
    EXPECT_EQ(glance({0.0, 0.0, 0.0}, 2, true), i < 3 ? Answer::walk : Answer::calm);
}

}  // namespace
}  // namespace tokenpool::control
