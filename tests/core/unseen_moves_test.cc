#include "core/unseen_moves.h"

#include <gtest/gtest.h>

namespace tokenpool::core {
namespace {

TEST(CountMoves, NothingHappened) { EXPECT_EQ(count_moves(0, 0, 0), (MoveCounts{0, 0})); }

TEST(CountMoves, TheDifferenceAlone) {
  EXPECT_EQ(count_moves(0, 0, 2), (MoveCounts{0, 2})) << "no watch";
  EXPECT_EQ(count_moves(0, 0, -2), (MoveCounts{2, 0}));
  EXPECT_EQ(count_moves(0, 1, 1), (MoveCounts{0, 1}));
  EXPECT_EQ(count_moves(1, 0, -1), (MoveCounts{1, 0}));
}

TEST(CountMoves, FromHandToHand) {
  EXPECT_EQ(count_moves(1, 1, 0), (MoveCounts{1, 1}));
  EXPECT_EQ(count_moves(3, 3, 0), (MoveCounts{3, 3}));
  EXPECT_EQ(count_moves(1, 2, 1), (MoveCounts{1, 2})) << "one stayed";
  EXPECT_EQ(count_moves(2, 1, -1), (MoveCounts{2, 1})) << "one lay there";
}

TEST(CountMoves, SeveralOfOneWereReportedAsOne) {
  EXPECT_EQ(count_moves(0, 1, 3), (MoveCounts{0, 3}));
  EXPECT_EQ(count_moves(1, 0, -3), (MoveCounts{3, 0}));
}

TEST(CountMoves, AReportThatComesLateIsNoMove) {
  EXPECT_EQ(count_moves(1, 0, 0), (MoveCounts{0, 0})) << "its take was found without it";
  EXPECT_EQ(count_moves(0, 1, 0), (MoveCounts{0, 0}));
  EXPECT_EQ(count_moves(2, 1, 0), (MoveCounts{1, 1}));
  EXPECT_EQ(count_moves(1, 1, 1), (MoveCounts{0, 1}));
  EXPECT_EQ(count_moves(1, 1, -1), (MoveCounts{1, 0}));
  EXPECT_EQ(count_moves(1, 0, 1), (MoveCounts{0, 1}));
  EXPECT_EQ(count_moves(0, 1, -1), (MoveCounts{1, 0}));
}

TEST(CountMoves, TheyAlwaysMakeTheDifference) {
  for (int takes = 0; takes < 5; ++takes) {
    for (int returns = 0; returns < 5; ++returns) {
      for (int drift = -6; drift <= 6; ++drift) {
        const MoveCounts moves = count_moves(takes, returns, drift);
        EXPECT_EQ(moves.returned - moves.taken, drift);
        EXPECT_GE(moves.taken, 0);
        EXPECT_GE(moves.returned, 0);
        EXPECT_TRUE(moves.taken <= takes || moves.returned <= returns);
      }
    }
  }
}

}  // namespace
}  // namespace tokenpool::core
