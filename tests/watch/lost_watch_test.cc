// What is lost where nobody's calls are seen, with a build that the test makes up; real ones are in
// tests/e2e/infer.py.
#include "watch/lost_watch.h"

#include <gtest/gtest.h>

#include "watch/fake_build.h"

namespace tokenpool::watch {
namespace {

/// Four tokens, and two jobs of a make: two leaves, which hold one token at most.
class LostWatchTest : public testing::Test {
 protected:
  LostWatchTest() {
    build.set(0, -1);
    build.set(1, 0);
    build.set(2, 1);
    build.set(3, 1);
  }
  Verdict look() {
    BuildView view = build.next();
    view.tracked = false;
    return watch.look(view);
  }
  /// What is made in so many looks, a second apart.
  int made(int looks) {
    int sum = 0;
    for (int i = 0; i < looks; ++i) {
      const Verdict verdict = look();
      EXPECT_FALSE(verdict.known);
      sum += verdict.mint;
      build.out -= verdict.mint;
    }
    return sum;
  }

  FakeBuild build;
  LostWatch watch{{}, {-1, -1}, core::Instant{}};
};

TEST_F(LostWatchTest, WhatLivingJobsMayHoldIsNotLost) {
  build.out = 1;
  EXPECT_EQ(made(20), 0);
}

TEST_F(LostWatchTest, WhatIsOutBeyondThatIsMadeAnewOnce) {
  build.out = 3;
  EXPECT_EQ(made(3), 0) << "it may be on its way";
  EXPECT_EQ(made(20), 2);
}

TEST_F(LostWatchTest, AJobThatIsOverForAMomentStillHoldsIts) {
  build.out = 1;
  build.rows.erase(3);
  build.set(2, 1, 'Z');
  build.set(3, 1, 'Z');
  EXPECT_EQ(look().mint, 0);
  EXPECT_EQ(made(20), 1) << "its parent has not waited for it for long: nobody returns it";
}

TEST_F(LostWatchTest, ThreadsOfACompilerMayHoldSome) {
  proc::CensusRow& rustc = build.set(3, 1);
  rustc.name = "rustc";
  rustc.threads = 3;
  build.out = 3;
  EXPECT_EQ(made(20), 0);
}

TEST_F(LostWatchTest, WhatCameBackAfterAllIsTakenOut) {
  build.out = 3;
  EXPECT_EQ(made(20), 2);
  core::Effects effects;
  build.tokens.mint(2, false, build.now, &effects);
  build.out = -1;
  EXPECT_EQ(look().unmint, 1);
  build.out = -5;
  EXPECT_EQ(look().unmint, 2) << "no more than was made";
}

TEST_F(LostWatchTest, WithoutATokenOutNobodyIsLookedAt) {
  build.out = 0;
  EXPECT_EQ(made(5), 0);
  EXPECT_EQ(build.walks, 0);
}

}  // namespace
}  // namespace tokenpool::watch
