// Where tokens go: the mechanics of the pool, event by event. Who is next: fairness_test.cc.
#include "core/pool.h"

#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/limits.h"
#include "core/pool_desk.h"
#include "core/processes.h"

namespace tokenpool::core {
namespace {

using testing::IsEmpty;
using Kind = Effect::Kind;

const ProcessId kMake = process(1);
const ProcessId kShell = process(2);
const ProcessId kNinja = process(3);
const ProcessId kCargo = process(4);

struct PoolTest : testing::Test {
  PoolTest() {
    desk.introduce(kMake);
    desk.introduce(kShell, {kMake});
    desk.introduce(kNinja, {kMake});
    desk.introduce(kCargo, {kMake});
  }
  void hold(ProcessId who, int count) {
    for (int i = 0; i < count; ++i) ASSERT_TRUE(desk.poll(who));
  }
  PoolDesk desk{3};
};

TEST_F(PoolTest, StartsFull) {
  EXPECT_EQ(desk.pool.free(), 3);
  EXPECT_EQ(desk.pool.issued(), 3);
  EXPECT_EQ(desk.pool.drift(5), 2);
  EXPECT_EQ(desk.pool.missing(), 0);
  EXPECT_FALSE(desk.pool.next_deadline());
}

TEST_F(PoolTest, APoolWithoutTokensRefusesAndLetsWait) {
  PoolDesk empty(0);
  empty.introduce(kMake);
  EXPECT_FALSE(empty.poll(kMake));
  const RequestId read = empty.read(kMake);
  EXPECT_EQ(empty.answer(read), PoolDesk::Answer::none);
  empty.give(kMake);
  EXPECT_TRUE(empty.granted(read)) << "it has lent its own slot, and has it back";
  empty.give(kMake, 2);
  EXPECT_EQ(empty.fifo, 1);
  EXPECT_EQ(empty.pool.counters().refused, 1U) << "it has but one";
}

TEST_F(PoolTest, ReadsTakeFromTheFifoWhileThereIsSomething) {
  EXPECT_TRUE(desk.poll(kMake));
  EXPECT_EQ(desk.last[0].kind, Kind::grant_from_fifo);
  EXPECT_TRUE(desk.granted(desk.read(kCargo)));
  EXPECT_EQ(desk.last[0].kind, Kind::grant_from_fifo);
  EXPECT_TRUE(desk.poll(kMake));
  EXPECT_FALSE(desk.poll(kMake));
  EXPECT_EQ(desk.pool.free(), 0);
  EXPECT_EQ(desk.pool.counters().taken, 3U);
  EXPECT_EQ(desk.pool.counters().peak_outstanding, 3);
}

TEST_F(PoolTest, AReturnServesABlockedReaderWithoutTheFifo) {
  hold(kMake, 3);
  const RequestId read = desk.read(kCargo);
  EXPECT_THAT(desk.last, IsEmpty());
  desk.give(kMake);
  EXPECT_TRUE(desk.granted(read));
  EXPECT_EQ(desk.last[0].kind, Kind::grant_direct);
  EXPECT_EQ(desk.fifo, 0);
}

TEST_F(PoolTest, AReturnGoesToTheFifoWhenNobodyBlocks) {
  hold(kMake, 2);
  desk.give(kMake, 2);
  EXPECT_EQ(desk.fifo, 3);
  EXPECT_EQ(desk.pool.counters().returned, 2U);
}

TEST_F(PoolTest, ACancelledReadGetsNothing) {
  hold(kMake, 3);
  const RequestId read = desk.read(kCargo);
  desk.cancel(read);
  desk.cancel(read);
  desk.give(kMake);
  EXPECT_EQ(desk.answer(read), PoolDesk::Answer::none);
  EXPECT_EQ(desk.fifo, 1);
}

TEST_F(PoolTest, AGrantToSomebodyGoneIsPlacedAnew) {
  desk.next_grant_fails = GrantFailure::caller_gone;
  EXPECT_FALSE(desk.granted(desk.read(kCargo)));
  EXPECT_EQ(desk.fifo, 3);
  EXPECT_EQ(desk.pool.counters().taken, 0U);
  EXPECT_EQ(desk.held(kCargo), 0);

  hold(kMake, 3);
  const RequestId first = desk.read(kCargo);
  const RequestId second = desk.read(kNinja);
  desk.next_grant_fails = GrantFailure::caller_gone;
  desk.give(kMake);
  EXPECT_FALSE(desk.granted(first));
  desk.pass(kOfferWindow);
  EXPECT_TRUE(desk.granted(second)) << "the next in the queue gets it";
}

TEST_F(PoolTest, AByteThatSomebodyUnseenTookIsFoundAndTheReadWaitsOn) {
  hold(kMake, 2);
  desk.next_grant_fails = GrantFailure::byte_missing;
  const RequestId read = desk.read(kCargo);
  EXPECT_EQ(desk.answer(read), PoolDesk::Answer::none);
  EXPECT_EQ(desk.pool.drift(desk.fifo), -1);
  EXPECT_EQ(desk.pool.next_deadline(), desk.now);
  desk.notice({kShell});
  EXPECT_EQ(desk.pool.counters().unseen_taken, 1U);
  EXPECT_FALSE(desk.granted(read));
  desk.give(kMake);
  EXPECT_TRUE(desk.granted(read));
}

TEST_F(PoolTest, AMissingByteThatCameBackMeanwhileServesTheRead) {
  hold(kMake, 2);
  desk.next_grant_fails = GrantFailure::byte_missing;
  const RequestId read = desk.read(kCargo);
  desk.fifo += 1;
  EXPECT_EQ(desk.pool.drift(desk.fifo), 0);
  desk.pass({});
  EXPECT_TRUE(desk.granted(read));
}

TEST_F(PoolTest, AMissingByteRefusesAReadThatDoesNotBlock) {
  hold(kMake, 2);
  desk.next_grant_fails = GrantFailure::byte_missing;
  EXPECT_FALSE(desk.poll(kCargo));
  desk.notice({kShell});
  EXPECT_EQ(desk.pool.free(), 0);
  EXPECT_EQ(desk.held(kCargo), 0);
}

TEST_F(PoolTest, TheReadOfAMissingByteKeepsItsPlaceInTheQueue) {
  hold(kMake, 3);
  ASSERT_EQ(desk.answer(desk.read(kShell)), PoolDesk::Answer::none);
  const RequestId first = desk.read(kCargo);
  const RequestId second = desk.read(kNinja);
  desk.give(kMake, 2);
  ASSERT_EQ(desk.fifo, 1) << "the second is offered";
  desk.next_grant_fails = GrantFailure::byte_missing;
  desk.now += kOfferWindow;
  desk.advance();
  desk.notice({kMake});
  desk.give(kMake);
  EXPECT_TRUE(desk.granted(first));
  EXPECT_FALSE(desk.granted(second));
}

TEST_F(PoolTest, AGrantThatFailsAfterTheEndOfItsReaderIsCountedOnce) {
  Effects effects;
  const Request request{900, kCargo, true};
  desk.pool.request(request, desk.now, &effects);
  desk.pool.ended(kCargo, EndCause::killed, {}, std::nullopt, desk.now, &effects);
  desk.pool.grant_failed(request, true, GrantFailure::caller_gone, desk.now, &effects);
  EXPECT_EQ(desk.pool.free(), 3);
  EXPECT_EQ(desk.pool.missing(), 0);
}

TEST_F(PoolTest, AnOverReturnIsSwallowedCountedAndNamed) {
  hold(kMake, 1);
  desk.give(kMake, 10);
  EXPECT_EQ(desk.fifo, 4) << "with its own slot, as long as it lives";
  EXPECT_EQ(desk.pool.counters().returned, 2U);
  EXPECT_EQ(desk.pool.counters().refused, 8U);
  ASSERT_EQ(desk.last.back().kind, Kind::refused);
  EXPECT_EQ(desk.last.back().count, 8);
  EXPECT_EQ(desk.last.back().who, kMake);
}

TEST_F(PoolTest, ALoanEntersThePoolAndIsTakenOutAtTheEndOfItsLender) {
  hold(kCargo, 1);
  desk.give(kNinja);
  EXPECT_EQ(desk.fifo, 3);
  EXPECT_EQ(desk.pool.counters().refused, 0U);
  desk.end(kNinja, EndCause::killed, {}, kMake);
  EXPECT_EQ(desk.last[0].kind, Kind::recovered);
  EXPECT_EQ(desk.last[0].end.withdraw, 1);
  EXPECT_EQ(desk.last[1].kind, Kind::drain);
  EXPECT_EQ(desk.fifo, 2);
  EXPECT_EQ(desk.pool.owed(), 0);
}

TEST_F(PoolTest, ALenderThatDiesWhileThePoolIsEmptyLeavesADebt) {
  hold(kCargo, 3);
  desk.give(kNinja);
  ASSERT_TRUE(desk.poll(kCargo));
  desk.end(kNinja, EndCause::killed, {}, kMake);
  EXPECT_EQ(desk.pool.owed(), 1);
  desk.give(kShell);
  EXPECT_EQ(desk.pool.counters().refused, 1U) << "nobody lends while the pool owes";
  desk.give(kCargo);
  EXPECT_EQ(desk.pool.owed(), 0);
  EXPECT_EQ(desk.fifo, 0);
  desk.give(kCargo);
  EXPECT_EQ(desk.fifo, 1);
}

TEST_F(PoolTest, AnUnseenReturnPaysTheDebtToo) {
  hold(kCargo, 3);
  desk.give(kNinja);
  ASSERT_TRUE(desk.poll(kCargo));
  desk.end(kNinja, EndCause::killed, {}, kMake);
  desk.unseen(+1, {kCargo});
  EXPECT_EQ(desk.pool.owed(), 0);
  EXPECT_EQ(desk.fifo, 0);
}

TEST_F(PoolTest, WhatComesFreeBeyondTheFifoIsKeptBackUntilThereIsRoom) {
  hold(kCargo, 2);
  desk.give(kNinja);
  desk.give(kMake);
  desk.give(kCargo);
  EXPECT_EQ(desk.fifo, 4);
  desk.give(kCargo);
  EXPECT_EQ(desk.fifo, 4);
  EXPECT_EQ(desk.pool.reserved(), 1);
  EXPECT_TRUE(desk.poll(kCargo));
  EXPECT_EQ(desk.fifo, 4) << "room for the fifth";
  EXPECT_EQ(desk.pool.reserved(), 0);
  EXPECT_TRUE(desk.poll(kNinja));
  EXPECT_EQ(desk.held(kNinja), 0) << "the lender has its slot back";
}

TEST_F(PoolTest, AnEndDropsWaitingReadsAndFreesTokens) {
  hold(kMake, 2);
  hold(kCargo, 1);
  const RequestId own = desk.read(kCargo);
  const RequestId other = desk.read(kNinja);
  desk.end(kCargo, EndCause::killed, {}, kMake);
  EXPECT_FALSE(desk.granted(own));
  EXPECT_TRUE(desk.granted(other));
  EXPECT_EQ(desk.pool.counters().recovered, 1U);
  EXPECT_EQ(desk.last[0].kind, Kind::recovered);
  EXPECT_EQ(desk.last[0].who, kCargo);
  EXPECT_EQ(desk.last[0].cause, EndCause::killed);
  EXPECT_EQ(desk.last[0].end.freed, 1);
}

TEST_F(PoolTest, MovedTokensComeBackOneByOneWithTheJobs) {
  const ProcessId job = process(10);
  const ProcessId other = process(11);
  desk.introduce(job, {kNinja, kMake});
  desk.introduce(other, {kNinja, kMake});
  hold(kNinja, 3);
  desk.end(kNinja, EndCause::killed, {job, other}, kMake);
  EXPECT_EQ(desk.fifo, 1);
  EXPECT_EQ(desk.pool.counters().recovered, 1U);
  desk.end(job, EndCause::succeeded, {}, kMake);
  EXPECT_EQ(desk.fifo, 2);
  desk.end(other, EndCause::succeeded, {}, kMake);
  EXPECT_EQ(desk.fifo, 3);
  EXPECT_EQ(desk.pool.counters().recovered, 3U);
}

TEST_F(PoolTest, AStrangersEndIsNoEvent) {
  desk.end(process(99), EndCause::killed);
  EXPECT_THAT(desk.last, IsEmpty());
}

TEST_F(PoolTest, AnEndWithoutTokensIsNotReported) {
  desk.end(kShell, EndCause::killed, {}, kMake);
  EXPECT_THAT(desk.last, IsEmpty());
}

TEST_F(PoolTest, UnseenTakesAndReturns) {
  desk.unseen(-2, {kShell});
  EXPECT_EQ(desk.pool.free(), 1);
  EXPECT_EQ(desk.pool.ledger().outstanding(), 2);
  desk.unseen(+1, {kShell});
  EXPECT_EQ(desk.pool.free(), 2);
  desk.unseen(+3, {kShell});
  EXPECT_EQ(desk.fifo, 4) << "one of three is its own, one is nobody's";
  EXPECT_EQ(desk.pool.counters().refused, 1U);
  EXPECT_EQ(desk.last.front().kind, Kind::refused);
  EXPECT_EQ(desk.last.front().who, kShell) << "the only one that had the FIFO open";
  EXPECT_EQ(desk.pool.counters().unseen_taken, 2U);
  EXPECT_EQ(desk.pool.counters().unseen_returned, 3U);
  EXPECT_EQ(desk.pool.counters().peak_outstanding, 2);
}

TEST_F(PoolTest, ATokenThatGoesFromHandToHandUnseen) {
  desk.unseen(-1, {kShell});
  desk.moves({{1, {kMake}}, {2, {kCargo}}}, {{1, {kShell}}});
  EXPECT_EQ(desk.pool.free(), 0);
  EXPECT_EQ(desk.pool.ledger().find(kShell)->own, 0);
  EXPECT_EQ(desk.pool.ledger().find(kMake)->own, 1);
  EXPECT_EQ(desk.pool.ledger().find(kCargo)->own, 2);
  desk.moves({{1, {kShell}}}, {{1, {kCargo}}});
  EXPECT_EQ(desk.pool.ledger().find(kShell)->own, 1);
  EXPECT_EQ(desk.pool.ledger().outstanding(), 3);
  EXPECT_EQ(desk.pool.counters().unseen_taken, 5U);
  EXPECT_EQ(desk.pool.counters().unseen_returned, 2U);
}

TEST_F(PoolTest, WhoPassesOnWhatItTakesInTheSameMomentHasNothing) {
  desk.moves({{1, {kShell}}, {1, {kMake}}}, {{1, {kShell}}});
  EXPECT_EQ(desk.pool.ledger().find(kShell)->own, 0);
  EXPECT_EQ(desk.pool.ledger().find(kMake)->own, 1);
  EXPECT_EQ(desk.pool.counters().refused, 0U);
}

TEST_F(PoolTest, ASurplusThatSomebodyHasTakenEndsWithTheNextThatComesBack) {
  hold(kMake, 1);
  desk.give(kMake);
  desk.give(kCargo);
  desk.pass(std::chrono::seconds(1));
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(desk.poll(kMake));
  desk.moves({{1, {kMake}}}, {{1, {kCargo}}});
  EXPECT_EQ(desk.pool.counters().refused, 1U) << "it has lent its own, and make keeps its own";
  EXPECT_EQ(desk.pool.owed(), 1);
  desk.give(kMake, 5);
  EXPECT_EQ(desk.fifo, 4);
  EXPECT_EQ(desk.pool.owed(), 0);
}

TEST_F(PoolTest, AnUnseenTakeByNobodyIsPutBackAtOnce) {
  desk.unseen(-2, {});
  EXPECT_EQ(desk.fifo, 3);
  EXPECT_EQ(desk.pool.counters().recovered, 2U);
  EXPECT_EQ(desk.last[0].kind, Kind::recovered);
}

TEST_F(PoolTest, AnUnseenReturnServesABlockedReaderFromTheFifo) {
  desk.unseen(-3, {kShell});
  const RequestId read = desk.read(kCargo);
  desk.unseen(+1, {kShell});
  EXPECT_TRUE(desk.granted(read));
  EXPECT_EQ(desk.last[0].kind, Kind::grant_from_fifo);
}

TEST_F(PoolTest, WhenTheBuildIsGoneThePoolIsFull) {
  hold(kMake, 1);
  hold(kCargo, 1);
  desk.unseen(-1, {kShell});
  desk.read(kNinja);
  desk.end_all();
  EXPECT_EQ(desk.fifo, 3);
  EXPECT_EQ(desk.pool.free(), 3);
  EXPECT_EQ(desk.pool.counters().recovered, 3U);
  EXPECT_TRUE(desk.pool.waiting().empty());
  int reported = 0;
  for (const Effect& effect : desk.last) {
    if (effect.kind == Kind::recovered) reported += effect.end.freed;
  }
  EXPECT_EQ(reported, 3);
  EXPECT_FALSE(desk.pool.next_deadline());
}

TEST_F(PoolTest, WhenTheBuildIsGoneWhatWasHeldIsToldInTheOrderOfPids) {
  hold(kShell, 1);
  hold(kCargo, 1);
  hold(kMake, 1);
  desk.set_issued(1);
  ASSERT_EQ(desk.pool.owed(), 2);
  desk.end_all();
  std::vector<ProcessId> told;
  for (const Effect& effect : desk.last) {
    if (effect.kind == Kind::recovered) told.push_back(effect.who);
  }
  EXPECT_EQ(told, (std::vector<ProcessId>{kMake, kShell, kCargo}));
  EXPECT_EQ(desk.pool.owed(), 0);
  EXPECT_EQ(desk.fifo, 1);
}

TEST(PoolAfterAByteWasMissing, TheNextEventIsTheLookThatIsDue) {
  const std::vector<std::function<void(PoolDesk*)>> events = {
      [](PoolDesk* desk) { desk->set_issued(3); },
      [](PoolDesk* desk) { desk->lend(1); },
      [](PoolDesk* desk) { desk->borrow(kNinja, 0, desk->now); },
      [](PoolDesk* desk) { desk->repay(1); },
      [](PoolDesk* desk) { desk->mint(1); },
      [](PoolDesk* desk) { desk->end(kMake, EndCause::killed); },
      [](PoolDesk* desk) { desk->end_all(); },
  };
  for (std::size_t i = 0; i < events.size(); ++i) {
    PoolDesk desk(3);
    desk.introduce(kMake);
    desk.next_lend_lacks = 1;
    desk.lend(3);
    ASSERT_TRUE(desk.pool.next_deadline()) << i;
    ++desk.fifo;  // it is there again
    events[i](&desk);
    EXPECT_FALSE(desk.pool.next_deadline()) << i;
  }
}

TEST_F(PoolTest, AsManyAsThereAreChangesNothing) {
  desk.set_issued(3);
  EXPECT_THAT(desk.last, IsEmpty());
}

TEST_F(PoolTest, MoreReadersThanCanWaitAreInterrupted) {
  hold(kMake, 3);
  for (std::size_t i = 0; i < kMaxWaiting; ++i) desk.read(kCargo);
  EXPECT_EQ(desk.answer(desk.read(kCargo)), PoolDesk::Answer::refused);
  EXPECT_EQ(desk.pool.waiting().size(), kMaxWaiting);
}

TEST_F(PoolTest, ANewArbiterGoesOnWhereTheOldOneStopped) {
  hold(kMake, 1);
  desk.unseen(-1, {kShell});
  std::vector<Account> accounts;
  for (const auto& entry : desk.pool.ledger().accounts()) accounts.push_back(entry.second);
  Pool next(3);
  next.restore(accounts, desk.pool.ledger().unseen(), desk.pool.owed(), 0, 0, desk.pool.counters());
  EXPECT_EQ(next.free(), 1);
  EXPECT_EQ(next.drift(desk.fifo), 0);
  EXPECT_EQ(next.missing(), 0);
  EXPECT_EQ(next.counters(), desk.pool.counters());
  EXPECT_EQ(next.ledger().accounts(), desk.pool.ledger().accounts());
  EXPECT_EQ(next.ledger().unseen(), desk.pool.ledger().unseen());
}

TEST_F(PoolTest, RecordsThatCannotBeTrueStillBalance) {
  Account mad;
  mad.who = kMake;
  mad.own = 9;
  Pool next(3);
  next.restore(std::vector{mad}, {}, 0, 0, 0, {});
  EXPECT_EQ(next.free(), 0);
  EXPECT_EQ(next.owed(), 6);
  EXPECT_EQ(next.missing(), 0);
  mad.own = -2;
  Pool other(3);
  other.restore(std::vector{mad}, {}, 0, 0, 0, {});
  EXPECT_EQ(other.free(), 4);
  EXPECT_EQ(other.reserved(), 1);
}

}  // namespace
}  // namespace tokenpool::core
