#include "host/kept_byte.h"

#include <chrono>

#include <gtest/gtest.h>

namespace tokenpool::host {
namespace {

using namespace std::chrono_literals;

TEST(KeptByte, OneIsKeptWhileAnotherOneIsThereToSee) {
  KeptByte kept;
  EXPECT_FALSE(kept.keep(1, 0ms)) << "it would be the only one";
  EXPECT_TRUE(kept.keep(2, 0ms));
  EXPECT_EQ(kept.count(), 1);
  EXPECT_FALSE(kept.keep(3, 0ms)) << "one is enough";
  EXPECT_EQ(kept.count(), 1);
}

TEST(KeptByte, ItServesTheNextOneFirst) {
  KeptByte kept;
  EXPECT_EQ(kept.take(1), 0);
  ASSERT_TRUE(kept.keep(2, 0ms));
  EXPECT_EQ(kept.take(0), 0);
  EXPECT_EQ(kept.take(3), 1) << "the others are in the FIFO";
  EXPECT_EQ(kept.count(), 0);
}

TEST(KeptByte, ItIsShownAtOnceWhenSomebodyUnseenTakesTheOtherOne) {
  KeptByte kept;
  EXPECT_EQ(kept.unseen_without(0), 0);
  ASSERT_TRUE(kept.keep(2, 0ms));
  EXPECT_EQ(kept.unseen_without(2), 0);
  EXPECT_EQ(kept.unseen_without(1), 1);
  EXPECT_EQ(kept.count(), 0);
  EXPECT_EQ(kept.unseen_without(1), 0) << "only once";
}

TEST(KeptByte, ItIsShownWhenItsTimeIsOver) {
  KeptByte kept;
  EXPECT_FALSE(kept.due());
  ASSERT_TRUE(kept.keep(2, 10ms));
  ASSERT_EQ(kept.due(), 10ms + KeptByte::kKeep);
  EXPECT_EQ(kept.late(*kept.due() - 1ns), 0);
  EXPECT_EQ(kept.late(*kept.due()), 1);
  EXPECT_EQ(kept.count(), 0);
  EXPECT_FALSE(kept.due());
}

TEST(KeptByte, EachStayIsTimedAnewWithOneTimer) {
  KeptByte kept;
  ASSERT_TRUE(kept.keep(2, 0us));
  EXPECT_EQ(kept.take(1), 1);
  ASSERT_TRUE(kept.keep(2, 600us));
  ASSERT_EQ(kept.due(), 1000us);
  EXPECT_EQ(kept.late(1000us), 0);
  ASSERT_EQ(kept.due(), 1600us);
  EXPECT_EQ(kept.late(1600us), 1);
}

TEST(KeptByte, ATimerThatFindsNothingIsNotSetAgain) {
  KeptByte kept;
  ASSERT_TRUE(kept.keep(2, 0us));
  EXPECT_EQ(kept.all(), 1);
  EXPECT_EQ(kept.late(1000us), 0);
  EXPECT_FALSE(kept.due());
}

}  // namespace
}  // namespace tokenpool::host
