// What is lost where nobody's calls are seen, and when a build stands still.
#include "control/lost_tokens.h"

#include <gtest/gtest.h>

#include "control/standstill.h"

namespace tokenpool::control {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// make (10) below the front (1), which runs jobs 11, 12, 13 by shells.
const std::vector<FamilyMember> kMake = {{10, 1},  {11, 10}, {12, 10}, {13, 10},
                                         {21, 11}, {22, 12}, {23, 13}};

TEST(MostHeldTest, OneForEachJobButTheFirst) { EXPECT_EQ(most_held(kMake), 2); }

TEST(MostHeldTest, NobodyHoldsNothing) {
  EXPECT_EQ(most_held({}), 0);
  EXPECT_EQ(most_held({{10, 1}}), 0);
}

TEST(MostHeldTest, WhatADeadClientLeftIsAJobEach) {
  EXPECT_EQ(most_held({{10, 1}, {11, 10}, {31, 1}, {32, 1}}), 2);
}

TEST(MostHeldTest, ADaemonAndItsChildrenAreNobodysJobs) {
  EXPECT_EQ(most_held({{10, 1}, {11, 10}, {31, 1, 0, true}, {32, 31}, {33, 31}}), 0);
}

TEST(MostHeldTest, AClientThatIsADaemonOrBelowOneHoldsForItsJobs) {
  EXPECT_EQ(most_held({{10, 1}, {31, 1, 0, true, true}, {32, 31}, {33, 31}}), 2);
  EXPECT_EQ(most_held({{10, 1}, {31, 1, 0, true}, {32, 31, 0, false, true}, {33, 32}, {34, 32}}),
            2);
}

TEST(MostHeldTest, ThreadsThatWorkHoldOneEach) {
  EXPECT_EQ(most_held({{10, 1}, {11, 10, 7}, {12, 10}}), 8);
}

TEST(MostHeldTest, ACircleEnds) { EXPECT_EQ(most_held({{10, 11}, {11, 10}}), 0); }

TEST(LostTokensTest, WhatIsOutForTooLongIsLost) {
  LostTokens lost;
  core::Instant now = seconds(1);
  for (int i = 0; i < 4; ++i, now += milliseconds(250)) EXPECT_EQ(lost.look(3, 1, now), 0) << i;
  EXPECT_TRUE(lost.is_suspicious());
  EXPECT_EQ(lost.look(3, 1, now), 2);
  EXPECT_FALSE(lost.is_suspicious());
}

TEST(LostTokensTest, AMomentWithoutDoubtBeginsAnew) {
  LostTokens lost;
  core::Instant now = seconds(1);
  for (int i = 0; i < 40; ++i, now += milliseconds(250)) {
    EXPECT_EQ(lost.look(3, i % 4 == 3 ? 3 : 1, now), 0) << i;
  }
}

TEST(LostTokensTest, OnlyWhatIsMissingAllTheTime) {
  LostTokens lost;
  core::Instant now = seconds(1);
  int found = 0;
  for (int i = 0; i < 5; ++i, now += milliseconds(250)) found += lost.look(4, 1 + i % 2, now);
  EXPECT_EQ(found, 2);
}

TEST(LostTokensTest, AMachineThatSleptHasNotLooked) {
  LostTokens lost;
  EXPECT_EQ(lost.look(3, 1, seconds(1)), 0);
  EXPECT_EQ(lost.look(3, 1, seconds(100)), 0);
  EXPECT_EQ(lost.look(3, 1, seconds(100) + milliseconds(250)), 0);
  EXPECT_EQ(lost.look(3, 1, seconds(100) + milliseconds(500)), 2);
}

TEST(StandstillTest, FiveSecondsOfNothing) {
  Standstill still;
  core::Instant now = seconds(1);
  for (int i = 0; i < 5; ++i, now += seconds(1)) EXPECT_FALSE(still.look(Movement::none, now)) << i;
  EXPECT_TRUE(still.look(Movement::none, now));
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(still.look(Movement::none, now += seconds(1))) << i;
  EXPECT_TRUE(still.look(Movement::none, now += seconds(1)));
}

TEST(StandstillTest, WhoMovesDoesNotStand) {
  Standstill still;
  core::Instant now = seconds(1);
  for (int i = 0; i < 100; ++i, now += seconds(1)) {
    EXPECT_FALSE(still.look(i % 5 == 4 ? Movement::some : Movement::none, now)) << i;
  }
}

TEST(StandstillTest, ADiskIsGivenAMinute) {
  Standstill still;
  core::Instant now = seconds(1);
  for (int i = 0; i < 60; ++i, now += seconds(1))
    EXPECT_FALSE(still.look(Movement::disk, now)) << i;
  EXPECT_TRUE(still.look(Movement::disk, now));
}

TEST(StandstillTest, ADiskThatAnswersNowAndThenIsOneThatAnswers) {
  Standstill still;
  core::Instant now = seconds(1);
  for (int i = 0; i < 200; ++i, now += seconds(1)) {
    const Movement movement = i % 40 == 39 ? Movement::some : Movement::disk;
    EXPECT_FALSE(
        still.look(i % 4 == 0 && movement != Movement::some ? Movement::none : movement, now))
        << i;
  }
}

TEST(StandstillTest, AfterATokenADiskHasItsMinuteAgain) {
  Standstill still;
  core::Instant now = seconds(1);
  for (int i = 0; i < 5; ++i, now += seconds(1)) EXPECT_FALSE(still.look(Movement::none, now)) << i;
  EXPECT_TRUE(still.look(Movement::none, now));
  for (int i = 1; i < 60; ++i) EXPECT_FALSE(still.look(Movement::disk, now += seconds(1))) << i;
  EXPECT_TRUE(still.look(Movement::disk, now += seconds(1)));
}

TEST(StandstillTest, LooksAsOftenAsItsPatienceNeeds) {
  EXPECT_EQ(Standstill(seconds(0)).pause(), kLongestLookPause);
  EXPECT_EQ(Standstill(milliseconds(600)).pause(), milliseconds(100));
  EXPECT_EQ(Standstill(seconds(60)).pause(), kLongestLookPause);
}

TEST(StandstillTest, AMachineThatSleptWasNotIdle) {
  Standstill still;
  EXPECT_FALSE(still.look(Movement::none, seconds(1)));
  EXPECT_FALSE(still.look(Movement::none, seconds(1000)));
}

}  // namespace
}  // namespace tokenpool::control
