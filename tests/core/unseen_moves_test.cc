#include "core/unseen_moves.h"

#include <vector>

#include <gtest/gtest.h>

namespace tokenpool::core {
namespace {

using Moves = std::vector<UnseenMove>;
using Processes = std::vector<ProcessId>;
using Calls = std::vector<ExpectedCall>;
using Stage = ExpectedCall::Stage;
using Fate = Deduction::Fate;

const ProcessId kA{1, 1};
const ProcessId kB{2, 1};
const ProcessId kC{3, 1};

ExpectedCall call(ProcessId who, bool takes, Stage stage) {
  return {.who = who, .takes = takes, .stage = stage};
}
ExpectedCall take(ProcessId who, Stage stage) { return call(who, true, stage); }
ExpectedCall give(ProcessId who, Stage stage) { return call(who, false, stage); }

UnseenMove one(ProcessId who) { return {.count = 1, .who = {who}}; }

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

TEST(DeduceMoves, NothingHappened) {
  const Calls calls{take(kA, Stage::pending), give(kB, Stage::pending)};
  const auto found = deduce_moves(0, false, calls);
  EXPECT_TRUE(found.taken.empty() && found.returned.empty());
  EXPECT_EQ(found.fates, (std::vector{Fate::stays, Fate::stays}));
}

TEST(DeduceMoves, WhoIsOverHasMovedOne) {
  const Calls calls{take(kA, Stage::over), take(kB, Stage::pending), give(kC, Stage::over)};
  const auto found = deduce_moves(0, false, calls);
  EXPECT_EQ(found.taken, Moves{one(kA)});
  EXPECT_EQ(found.returned, Moves{one(kC)}) << "the level is as before";
  EXPECT_EQ(found.fates, (std::vector{Fate::over, Fate::stays, Fate::over}));
}

TEST(DeduceMoves, WhatIsLackingOneOfThoseThatWaitHasTaken) {
  const Calls calls{take(kA, Stage::pending), take(kB, Stage::pending), give(kC, Stage::over)};
  const auto found = deduce_moves(0, false, calls);
  EXPECT_EQ(found.returned, Moves{one(kC)});
  EXPECT_EQ(found.taken, (Moves{{1, {kA, kB}}}));
  EXPECT_EQ(found.fates, (std::vector{Fate::stays, Fate::stays, Fate::over}));
  EXPECT_EQ(deduce_moves(-1, false, calls).taken, (Moves{one(kA), one(kB)})) << "one each";
}

TEST(DeduceMoves, TheOnlyOneThatWaitsHasTakenIt) {
  Calls calls{take(kA, Stage::pending)};
  const auto found = deduce_moves(-1, false, calls);
  EXPECT_EQ(found.taken, Moves{one(kA)});
  EXPECT_EQ(found.fates, std::vector{Fate::booked});
  calls = {take(kA, Stage::over)};
  calls[0].booked = true;
  const auto later = deduce_moves(0, false, calls);
  EXPECT_TRUE(later.taken.empty()) << "not twice";
  EXPECT_EQ(later.fates, std::vector{Fate::over});
}

TEST(DeduceMoves, WhoWasSuspectedAndIsOverHasIt) {
  Calls calls{take(kA, Stage::pending), take(kB, Stage::over)};
  for (auto& call : calls) call.suspected = true;
  const auto found = deduce_moves(0, false, calls);
  EXPECT_EQ(found.attributed, Processes{kB});
  EXPECT_TRUE(found.taken.empty());
  const auto another = deduce_moves(-1, false, calls);
  EXPECT_TRUE(another.attributed.empty()) << "that is another token";
  EXPECT_EQ(another.taken, Moves{one(kB)});
}

TEST(DeduceMoves, WhenASuspectHasOneTheOthersHaveEachTheirs) {
  Calls calls{take(kA, Stage::over), take(kB, Stage::over), take(kC, Stage::over)};
  calls[0].suspected = true;
  const auto found = deduce_moves(-2, false, calls);
  EXPECT_EQ(found.attributed, Processes{kA});
  EXPECT_EQ(found.taken, (Moves{one(kB), one(kC)}));
}

TEST(DeduceMoves, AReturnIsUnderWayWhenItsTokenIsTaken) {
  const Calls calls{take(kA, Stage::over), give(kB, Stage::pending), give(kC, Stage::pending)};
  const auto found = deduce_moves(0, false, calls);
  EXPECT_EQ(found.taken, Moves{one(kA)});
  EXPECT_EQ(found.returned, Moves{one(kB)}) << "the older one";
  EXPECT_EQ(found.fates, (std::vector{Fate::over, Fate::booked, Fate::stays}));
}

TEST(DeduceMoves, TheYoungerReturnWasFirst) {
  Calls calls{give(kB, Stage::pending), give(kC, Stage::over)};
  calls[0].booked = true;
  const auto found = deduce_moves(0, false, calls);
  EXPECT_EQ(found.taken, Moves{one(kB)}) << "it has not returned it yet";
  EXPECT_EQ(found.returned, Moves{one(kC)});
  EXPECT_EQ(found.fates, (std::vector{Fate::stays, Fate::over}));
  const auto both = deduce_moves(1, false, calls);
  EXPECT_EQ(both.taken, Moves{one(kB)});
  EXPECT_EQ(both.returned, (Moves{one(kC), one(kB)}));
}

TEST(DeduceMoves, ATakeThatNothingMakesUpForFailed) {
  const Calls calls{take(kA, Stage::over), take(kB, Stage::over)};
  const auto none = deduce_moves(0, false, calls);
  EXPECT_TRUE(none.taken.empty() && none.returned.empty());
  EXPECT_EQ(deduce_moves(-1, false, calls).taken, (Moves{{1, {kA, kB}}})) << "one of the two";
  EXPECT_EQ(deduce_moves(-2, false, calls).taken, (Moves{one(kA), one(kB)}));
  const auto stranger = deduce_moves(0, true, Calls{take(kA, Stage::over)});
  EXPECT_EQ(stranger.taken, Moves{one(kA)});
  EXPECT_EQ(stranger.returned, (Moves{{1, {}}})) << "somebody who was not announced";
}

TEST(DeduceMoves, AHelperMayHaveFetchedSeveral) {
  Calls calls{take(kA, Stage::over), take(kB, Stage::pending)};
  calls[0].several = true;
  EXPECT_EQ(deduce_moves(-3, false, calls).taken, (Moves{one(kA), one(kA), one(kB)}));
  EXPECT_EQ(deduce_moves(-2, false, calls).taken, (Moves{one(kA), {1, {kA, kB}}}));
  EXPECT_EQ(deduce_moves(-3, false, Calls{take(kA, Stage::over)}).taken,
            (Moves{one(kA), {2, {kA}}}))
      << "there is nobody else";
}

TEST(DeduceMoves, SeveralMayBeReturnedAtOnce) {
  const auto found = deduce_moves(3, false, Calls{give(kA, Stage::over)});
  EXPECT_EQ(found.returned, (Moves{one(kA), {2, {kA}}}));
}

TEST(DeduceMoves, OneThatFoundNothingIsSuspectedLikeOneThatWaits) {
  const Calls calls{take(kA, Stage::in_vain), take(kB, Stage::pending)};
  EXPECT_EQ(deduce_moves(-1, false, calls).taken, (Moves{{1, {kA, kB}}}));
  EXPECT_TRUE(deduce_moves(0, false, calls).taken.empty());
  const Calls knows{take(kA, Stage::failed), take(kB, Stage::pending), take(kC, Stage::pending)};
  EXPECT_EQ(deduce_moves(-1, false, knows).taken, (Moves{{1, {kB, kC}}})) << "not if that is known";
}

TEST(DeduceMoves, WhoHasItsTokenIsNotSuspectedOfAnother) {
  Calls calls{take(kA, Stage::pending), take(kB, Stage::pending)};
  calls[0].booked = true;
  EXPECT_EQ(deduce_moves(-1, false, calls).taken, Moves{one(kB)});
  calls[0].stage = Stage::in_vain;
  EXPECT_EQ(deduce_moves(-1, false, calls).taken, Moves{one(kB)});
}

TEST(DeduceMoves, NobodyWasAnnounced) {
  EXPECT_EQ(deduce_moves(-2, false, {}).taken, (Moves{{2, {}}}));
  EXPECT_EQ(deduce_moves(2, false, {}).returned, (Moves{{2, {}}}));
  EXPECT_TRUE(deduce_moves(0, true, {}).taken.empty());
}

TEST(DeduceMoves, TheyAlwaysMakeTheDifference) {
  // Every list of up to four calls, each of one in sixteen kinds.
  const auto call_of = [](int kind, std::int32_t pid) {
    ExpectedCall call{.who = {pid, 1}, .takes = kind < 8};
    call.stage = static_cast<Stage>(kind % 4);
    call.suspected = kind >= 4 && kind < 8;
    call.booked = kind >= 12;
    return call;
  };
  constexpr int kKinds = 16;
  for (int list = 0; list < kKinds * kKinds * kKinds * kKinds; ++list) {
    Calls calls;
    std::int32_t pid = 0;
    for (int rest = list; rest > 0; rest /= kKinds) calls.push_back(call_of(rest % kKinds, ++pid));
    for (int drift = -3; drift <= 3; ++drift) {
      const auto found = deduce_moves(drift, drift == 0 && list % 2 == 0, calls);
      int sum = 0;
      for (const auto& move : found.taken) sum -= move.count;
      for (const auto& move : found.returned) sum += move.count;
      ASSERT_EQ(sum, drift) << "list " << list;
      ASSERT_EQ(found.fates.size(), calls.size());
      for (std::size_t i = 0; i < calls.size(); ++i) {
        ASSERT_EQ(found.fates[i] == Fate::over, calls[i].stage != Stage::pending);
      }
    }
  }
}

}  // namespace
}  // namespace tokenpool::core
