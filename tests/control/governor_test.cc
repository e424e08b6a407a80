// One test per sentence of the law in control/governor.h. What it does over time is in sim/traces.
#include "control/governor.h"

#include <gtest/gtest.h>

namespace tokenpool::control {
namespace {

using namespace std::chrono_literals;

class GovernorTest : public testing::Test {
 protected:
  /// One step of a machine with eight CPUs on which each of `in_use` slots uses `each`.
  int step(int in_use, double each, double delay = 0, double others = 0) {
    now += kGovernorStep;
    LoadSample sample;
    sample.own = std::min(in_use * each, kCpus);
    sample.use = std::min(sample.own + others, kCpus);
    sample.delay = delay;
    sample.capacity = kCpus;
    sample.in_use = in_use;
    sample.exhausted = in_use >= governor.slots();
    sample.disk_stall = disk_stall;
    return governor.step(sample, now);
  }
  /// Until what began has become visible.
  void settle(int in_use, double each) {
    for (int i = 0; i < 8; ++i) step(std::min(in_use, governor.slots() - 1), each);
  }

  static constexpr double kCpus = 8;
  double disk_stall = 0;
  core::Instant now = 1s;
  Governor governor{2, 20, 8};
};

TEST_F(GovernorTest, NothingChangesWhileTheMachineIsInUse) {
  for (int i = 0; i < 40; ++i) EXPECT_EQ(step(8, 0.97, 0.5), 8);
}

TEST_F(GovernorTest, IdleTwiceInARowFillsThreeQuartersOfTheGap) {
  settle(7, 0.5);
  EXPECT_EQ(step(8, 0.5), 8) << "once may be chance";
  // 8 - 4 that are in use - 0.4 still to come of the one that has just begun: 2.7 at 0.5 for each.
  EXPECT_EQ(step(8, 0.5), 14);
}

TEST_F(GovernorTest, ASlotIsExpectedToUseAQuarterOfACpuAtLeast) {
  settle(7, 0.1);
  step(8, 0.1, 0, 4);
  // 8 - 4 of others - 0.8 - 0.2 still to come: 2.3 at 0.25 for each, not at 0.1.
  EXPECT_EQ(step(8, 0.1, 0, 4), 18);
}

TEST_F(GovernorTest, ASlotIsExpectedToUseACpuWhileMostHaveJustBegun) {
  governor = Governor(2, 20, 2);
  step(0, 0);
  step(2, 0.1);
  // 8 - 0.2 that is in use - 1.5 still to come of both: 4.7 at one for each.
  EXPECT_EQ(step(2, 0.1), 7);
}

TEST_F(GovernorTest, SlotsThatJustBeganCountAsInUse) {
  step(0, 0);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(step(8, 0.1), 8) << "their load is still to come";
}

TEST_F(GovernorTest, SlotsThatJustBeganCountForWhatTheOthersUse) {
  settle(7, 0.5);
  step(8, 0.5);
  ASSERT_EQ(step(8, 0.5), 14);
  EXPECT_EQ(step(14, 0.35), 14);
  // Six that began a step ago and one before them: some 1.7 CPUs of load that may still come beside
  // 4.9. At a CPU for each of them it would be 4.8, and no CPU idle.
  EXPECT_EQ(step(14, 0.35), 18);
}

TEST_F(GovernorTest, APoolThatNobodyUsesIsIdleWhenSomebodyComes) {
  governor = Governor(2, 20, 2);
  for (int i = 0; i < 8; ++i) step(0, 0);
  for (int i = 0; i < 6; ++i) step(2, 0.5);
  EXPECT_GT(governor.slots(), 2);
}

TEST_F(GovernorTest, WhileAllWaitForTheDiskThereAreNoMore) {
  disk_stall = 0.4;
  settle(7, 0.2);
  for (int i = 0; i < 40; ++i) EXPECT_EQ(step(8, 0.2), 8);
  disk_stall = 0.1;
  for (int i = 0; i < 40 && governor.slots() == 8; ++i) step(8, 0.2);
  EXPECT_GT(governor.slots(), 8) << "the disk is free again";
}

TEST_F(GovernorTest, AMomentOfWaitingForTheDiskIsNothing) {
  settle(7, 0.5);
  disk_stall = 1;
  EXPECT_EQ(step(8, 0.5), 8);
  disk_stall = 0;
  EXPECT_EQ(step(8, 0.5), 14);
}

TEST_F(GovernorTest, NobodyNeedsMoreWhileSlotsAreFree) {
  for (int i = 0; i < 40; ++i) EXPECT_EQ(step(7, 0.2), 8);
}

TEST_F(GovernorTest, NoMoreThanWouldBeAnOverload) {
  governor = Governor(1, 20, 2);
  // 7.4 of the eight CPUs are in use; a third slot would make it 11.1, and overload begins at 10.8.
  for (int i = 0; i < 40; ++i) EXPECT_EQ(step(2, 3.7), 2);
  for (int i = 0; i < 2; ++i) step(2, 3);
  EXPECT_EQ(governor.slots(), 3) << "9 would be none";
}

TEST_F(GovernorTest, NeverMoreThanMaxHoweverMuchTheJobsWait) {
  for (int i = 0; i < 100; ++i) step(std::min(governor.slots(), 20), 0);
  EXPECT_EQ(governor.slots(), 20);
  governor = Governor(2, 100, 8);
  for (int i = 0; i < 100; ++i) step(governor.slots(), 0);
  EXPECT_EQ(governor.slots(), 100) << "whoever names it knows what his jobs wait for";
}

TEST_F(GovernorTest, OverloadTakesBackWhatIsTooMuch) {
  for (int i = 0; i < 40 && governor.slots() == 8; ++i) step(8, 1, 8, 8);
  // Eight threads of others and eight of ours want to run on eight CPUs.
  EXPECT_LT(governor.slots(), 8);
  EXPECT_GE(governor.slots(), 2);
}

TEST_F(GovernorTest, OverloadOfASecondIsNoReason) {
  for (int i = 0; i < 3; ++i) EXPECT_EQ(step(8, 1, 16), 8);
  for (int i = 0; i < 40; ++i) EXPECT_EQ(step(8, 1, 0), 8);
}

TEST_F(GovernorTest, NothingIsAddedWhileThreadsWait) {
  // Of jobs that use nothing, which could be any number: there are idle CPUs, and a queue.
  for (int i = 0; i < 40; ++i) EXPECT_LE(step(governor.slots(), 0, 30), 8);
  EXPECT_EQ(governor.slots(), 2);
}

TEST_F(GovernorTest, WhatIsWithheldIsNotTakenAgain) {
  governor = Governor(1, 24, 24);
  for (int i = 0; i < 100; ++i) step(24, 1, 16);
  const int slots = governor.slots();
  EXPECT_GE(slots, 8) << "24 jobs, of which eight are no overload";
  EXPECT_LE(slots, 11);
  for (int i = 0; i < 40; ++i) step(24, 1, 16);
  EXPECT_EQ(governor.slots(), slots) << "they are still out";
}

TEST_F(GovernorTest, WhatWasTakenIsSeenBeforeMoreIsTaken) {
  governor = Governor(1, 24, 24);
  while (step(24, 1, 16) == 24) {
  }
  const int slots = governor.slots();
  for (int i = 0; i < 7; ++i) EXPECT_EQ(step(governor.slots(), 1, 16), slots) << "not yet 2 s";
  EXPECT_LT(step(governor.slots(), 1, 16), slots);
}

TEST_F(GovernorTest, ABuildKeepsItsLeast) {
  for (int i = 0; i < 400; ++i) step(2, 1, 30, 30);
  EXPECT_EQ(governor.slots(), 2);
}

TEST_F(GovernorTest, ItComesBackWhenTheOthersAreGone) {
  for (int i = 0; i < 100; ++i) step(governor.slots(), 1, 8, 8);
  ASSERT_LT(governor.slots(), 8);
  for (int i = 0; i < 20; ++i) step(governor.slots(), 1);
  EXPECT_GE(governor.slots(), 8);
  EXPECT_LE(governor.slots(), 9);
}

}  // namespace
}  // namespace tokenpool::control
