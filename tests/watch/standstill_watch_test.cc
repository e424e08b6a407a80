// The last resort with a build that the test makes up; real ones are in tests/e2e/standstill.py.
#include "watch/standstill_watch.h"

#include <gtest/gtest.h>

#include "watch/fake_build.h"

namespace tokenpool::watch {
namespace {

using std::chrono::seconds;

/// Process 1, which holds two tokens, is a make with the job 2.
class StandstillWatchTest : public testing::Test {
 protected:
  StandstillWatchTest() {
    build.set(0, -1);
    build.set(1, 0);
    build.set(2, 1);
    core::Account make;
    make.who = FakeBuild::process(1);
    make.own = 2;
    build.tokens.restore({&make, 1}, {}, 0, 0, 0, {});
    build.out = 2;
  }
  /// Looks so often, a second apart; answers the second in which tokens were made, 0: in none.
  int look(int times) {
    for (int i = 1; i <= times; ++i) {
      last = watch.look(build.next());
      if (last.mint > 0) return i;
    }
    return 0;
  }

  FakeBuild build;
  StandstillWatch watch{{.patience = seconds(5), .left = false, .fifo = {}}, core::Instant{}};
  Verdict last;
};

TEST_F(StandstillWatchTest, ABuildThatStandsStillGetsAToken) {
  EXPECT_EQ(look(30), 7) << "the first look tells nothing, the next begins the five seconds";
  EXPECT_EQ(last.mint, 1);
  EXPECT_TRUE(last.known);
  ASSERT_EQ(last.stuck.size(), 1U);
  EXPECT_EQ(last.stuck[0].pid, FakeBuild::process(1).pid);
  EXPECT_EQ(last.stuck[0].held, 2);
  EXPECT_EQ(look(30), 6) << "and another one after as long";
}

TEST_F(StandstillWatchTest, WhoComputesOrCouldMoves) {
  for (int i = 0; i < 30; ++i) {
    build.rows[2].use_seconds += 0.05;
    ASSERT_EQ(look(1), 0);
  }
  build.set(2, 1, 'R');
  EXPECT_EQ(look(30), 0);
}

TEST_F(StandstillWatchTest, WhoComesOrGoesMoves) {
  for (int i = 3; i < 33; ++i) {
    build.rows.erase(i - 1);
    build.set(i, 1);
    ASSERT_EQ(look(1), 0);
  }
}

TEST_F(StandstillWatchTest, WhileASlotIsFreeNobodyLacksOne) {
  build.exhausted = false;
  EXPECT_EQ(look(30), 0);
  // ... unless a lease wants more than is left.
  build.leases.take(4);
  build.leases.ask({.min = 2});
  EXPECT_GT(look(30), 0);
  EXPECT_EQ(last.mint, 1) << "one is free";
}

TEST_F(StandstillWatchTest, AFileServerThatIsGoneIsGivenAMinute) {
  build.set(2, 1, 'D');
  EXPECT_EQ(look(59), 0);
  EXPECT_GT(look(10), 0);
}

TEST_F(StandstillWatchTest, ABuildThatItsUserHasStoppedStandsStillOnPurpose) {
  build.set(0, -1, 'T');
  EXPECT_EQ(look(30), 0);
}

TEST_F(StandstillWatchTest, WhoIsHaltedIsNamedEvenIfNobodyLacksASlot) {
  build.exhausted = false;
  build.set(2, 1, 'T');
  std::vector<board::StuckRow> named;
  for (int i = 0; i < 30; ++i) {
    EXPECT_EQ(look(1), 0);
    named.insert(named.end(), last.stuck.begin(), last.stuck.end());
  }
  ASSERT_FALSE(named.empty());
  EXPECT_EQ(named[0].halted, FakeBuild::process(2).pid);
  EXPECT_EQ(named[0].held, 0);
}

TEST_F(StandstillWatchTest, ProcessesAreLookedAtSeldomWhileNothingIsWrong) {
  build.exhausted = false;
  for (int i = 0; i < 30; ++i) {
    build.rows[2].use_seconds += 1;
    (void)look(1);
  }
  EXPECT_GE(build.walks, 3);
  EXPECT_LE(build.walks, 10) << "every five seconds";
}

}  // namespace
}  // namespace tokenpool::watch
