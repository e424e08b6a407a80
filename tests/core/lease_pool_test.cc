// The pool of leases, sentence by sentence of its contract. Who is next: lease_line_test.cc.
#include "core/lease_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/lease_desk.h"
#include "core/limits.h"
#include "core/processes.h"

namespace tokenpool::core {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::IsEmpty;
using testing::Optional;
using Answer = LeaseDesk::Answer;

const ProcessId kMake = process(1);
const ProcessId kJob = process(2);

Lease declared(LeaseId id, int slots, SessionId session = 1) {
  Lease lease;
  lease.id = id;
  lease.session = session;
  lease.slots = slots;
  return lease;
}

struct LeasePoolTest : testing::Test {
  LeaseDesk desk{4};
};

TEST_F(LeasePoolTest, StartsWithWhatItIsSupplied) {
  LeasePool pool(4, 1, [](const Payer&) { return 0; });
  EXPECT_EQ(pool.free(), 0);
  EXPECT_EQ(pool.ceiling(), 4);
  EXPECT_FALSE(pool.next_deadline());
  EXPECT_EQ(desk.pool.free(), 4);
}

TEST_F(LeasePoolTest, AGrantTellsWhoseLeaseItIs) {
  const Ticket ticket = desk.ask(
      {.min = 2, .type = "link", .priority = 3, .session = 7, .client = kMake, .owner = kJob});
  ASSERT_TRUE(desk.granted(ticket));
  const Lease& lease = *desk.pool.find(desk.lease(ticket));
  EXPECT_EQ(lease, desk.answers.at(ticket).second);
  EXPECT_EQ(lease.id, 100U) << "the first number";
  EXPECT_EQ(lease.session, 7U);
  EXPECT_EQ(lease.client, kMake);
  EXPECT_EQ(lease.owner, kJob);
  EXPECT_EQ(lease.slots, 2);
  EXPECT_EQ(lease.paid, 0);
  EXPECT_EQ(lease.job.type, "link");
  EXPECT_EQ(lease.job.priority, 3);
  EXPECT_EQ(lease.since, desk.now);
  EXPECT_EQ(desk.pool.find(99), nullptr);
}

TEST_F(LeasePoolTest, WhatIsReleasedIsFree) {
  const LeaseId id = desk.take(3);
  EXPECT_EQ(desk.release(id), 0);
  EXPECT_EQ(desk.pool.find(id), nullptr);
  EXPECT_EQ(desk.pool.free(), 4);
  EXPECT_EQ(desk.pool.counters().released, 1U);
  EXPECT_THAT(desk.recovered, IsEmpty()) << "it was released";
}

TEST_F(LeasePoolTest, ALeaseIsReleasedInParts) {
  const LeaseId id = desk.take(4);
  const Ticket next = desk.ask({.min = 2});
  EXPECT_EQ(desk.release(id, 1), 3);
  EXPECT_TRUE(desk.waits(next));
  EXPECT_EQ(desk.release(id, 1), 2);
  EXPECT_TRUE(desk.granted(next));
  EXPECT_EQ(desk.pool.counters().released, 0U) << "it has not ended";
  EXPECT_EQ(desk.release(id, 9), 0) << "more than it has is all";
  EXPECT_EQ(desk.pool.counters().released, 1U);
}

TEST_F(LeasePoolTest, AReleaseOfAsManyAsItHasIsItsEnd) {
  EXPECT_EQ(desk.release(desk.take(2), 2), 0);
  EXPECT_THAT(desk.pool.leases(), IsEmpty());
}

TEST_F(LeasePoolTest, AResizeTakesWhatIsFree) {
  const LeaseId id = desk.take(1);
  EXPECT_THAT(desk.resize(id, 1, 3), Optional(3));
  EXPECT_EQ(desk.pool.free(), 1);
  EXPECT_THAT(desk.resize(id, 2, 9), Optional(4)) << "as many as there are";
  EXPECT_EQ(desk.pool.counters().peak_cost, 4);
}

TEST_F(LeasePoolTest, AResizeToFewerGivesBackAtOnce) {
  const LeaseId id = desk.take(4);
  const Ticket next = desk.ask({.min = 3});
  EXPECT_THAT(desk.resize(id, 1, 1), Optional(1));
  EXPECT_TRUE(desk.granted(next));
}

TEST_F(LeasePoolTest, AResizeWithinItsRangeChangesNothing) {
  const LeaseId id = desk.take(2);
  desk.take(2);
  EXPECT_THAT(desk.resize(id, 1, 4), Optional(2));
}

TEST_F(LeasePoolTest, AResizeThatCannotHaveItsLeastLeavesTheLease) {
  const LeaseId id = desk.take(2);
  desk.take(1);
  EXPECT_EQ(desk.resize(id, 4, 4), std::nullopt);
  EXPECT_EQ(desk.pool.find(id)->slots, 2);
  EXPECT_EQ(desk.pool.free(), 1);
}

TEST_F(LeasePoolTest, AResizeTakesNothingWhileSomebodyWaits) {
  const LeaseId id = desk.take(1);
  desk.take(1);
  const Ticket waiting = desk.ask({.min = 3});
  EXPECT_THAT(desk.resize(id, 1, 2), Optional(1));
  EXPECT_EQ(desk.resize(id, 2, 2), std::nullopt);
  EXPECT_TRUE(desk.cancel(waiting));
  EXPECT_THAT(desk.resize(id, 2, 2), Optional(2));
}

TEST_F(LeasePoolTest, AResizeTakesNothingWhilePaused) {
  const LeaseId id = desk.take(2);
  desk.pause(true);
  EXPECT_EQ(desk.resize(id, 3, 3), std::nullopt);
  EXPECT_THAT(desk.resize(id, 1, 1), Optional(1)) << "fewer always can be had";
}

TEST_F(LeasePoolTest, CancelTakesOutOfTheLine) {
  const LeaseId held = desk.take(4);
  const Ticket ticket = desk.ask({});
  EXPECT_TRUE(desk.cancel(ticket));
  EXPECT_FALSE(desk.cancel(ticket));
  desk.release(held);
  EXPECT_TRUE(desk.waits(ticket)) << "there is no answer";
  EXPECT_EQ(desk.pool.counters().cancelled, 1U);
  EXPECT_EQ(desk.pool.waiting_count(), 0U);
}

TEST_F(LeasePoolTest, CancelOfWhatIsGrantedAnswersNo) {
  EXPECT_FALSE(desk.cancel(desk.ask({})));
  EXPECT_FALSE(desk.cancel(4711));
}

TEST_F(LeasePoolTest, WhoStoodInTheWayIsGone) {
  desk.take(3);
  const Ticket wide = desk.ask({.min = 2});
  desk.pass(seconds(3));
  const Ticket small = desk.ask({});
  EXPECT_TRUE(desk.waits(small)) << "what is left is reserved";
  desk.cancel(wide);
  EXPECT_TRUE(desk.granted(small));
}

TEST_F(LeasePoolTest, ADeadlineThatComesIsAnswered) {
  desk.take(4);
  const Ticket ticket = desk.ask({.timeout = seconds(1)});
  EXPECT_THAT(desk.pool.next_deadline(), Optional(desk.now + seconds(1)));
  desk.pass(milliseconds(999));
  EXPECT_TRUE(desk.waits(ticket));
  desk.pass(milliseconds(1));
  EXPECT_EQ(desk.answer(ticket), Answer::unavailable);
  EXPECT_EQ(desk.pool.counters().timed_out, 1U);
  EXPECT_FALSE(desk.pool.next_deadline());
}

TEST_F(LeasePoolTest, ADeadlineDoesNotOutliveAGrant) {
  const LeaseId held = desk.take(4);
  const Ticket ticket = desk.ask({.timeout = seconds(1)});
  desk.release(held);
  EXPECT_TRUE(desk.granted(ticket));
  EXPECT_FALSE(desk.pool.next_deadline());
}

TEST_F(LeasePoolTest, WithoutTimeItIsNowOrNever) {
  EXPECT_TRUE(desk.granted(desk.ask({.min = 4, .timeout = seconds(0)})));
  EXPECT_EQ(desk.answer(desk.ask({.timeout = seconds(0)})), Answer::unavailable);
  EXPECT_EQ(desk.pool.waiting_count(), 0U);
  EXPECT_FALSE(desk.pool.next_deadline());
}

TEST_F(LeasePoolTest, WithoutTimeNobodyIsPassed) {
  desk.take(3);
  const Ticket wide = desk.ask({.min = 2});
  desk.pass(seconds(2));
  EXPECT_EQ(desk.answer(desk.ask({.timeout = seconds(0)})), Answer::unavailable);
  EXPECT_TRUE(desk.waits(wide));
}

TEST_F(LeasePoolTest, MoreThanThereWillEverBeIsImpossible) {
  EXPECT_EQ(desk.answer(desk.ask({.min = 5})), Answer::impossible);
  EXPECT_EQ(desk.answer(desk.ask({.min = 4, .max = 9})), Answer::granted);
}

TEST_F(LeasePoolTest, TheImplicitSlotIsForThoseWhoHaveAPayer) {
  desk.pool.set_implicit(1);
  EXPECT_EQ(desk.answer(desk.ask({.min = 4})), Answer::impossible);
  EXPECT_TRUE(desk.granted(desk.ask({.min = 3})));
  desk.covers[{Payer::Kind::root, {}, 0}] = 1;
  EXPECT_NE(desk.answer(desk.ask({.min = 4, .payer = {Payer::Kind::root, {}, 0}})),
            Answer::impossible);
}

TEST_F(LeasePoolTest, ATypeThatMayNotRunIsImpossible) {
  EXPECT_TRUE(desk.set_limit("link", 0));
  EXPECT_EQ(desk.answer(desk.ask({.type = "link"})), Answer::impossible);
  EXPECT_TRUE(desk.granted(desk.ask({.type = "cc"})));
}

TEST_F(LeasePoolTest, ALowerCeilingMakesWhoWaitsImpossible) {
  desk.take(4);
  const Ticket wide = desk.ask({.min = 3});
  const Ticket narrow = desk.ask({.min = 2});
  desk.set_ceiling(2);
  EXPECT_EQ(desk.answer(wide), Answer::impossible);
  EXPECT_TRUE(desk.waits(narrow));
  EXPECT_EQ(desk.pool.ceiling(), 2);
}

TEST_F(LeasePoolTest, AReservationGoesWithTheImpossible) {
  const LeaseId held = desk.take(3);
  const Ticket wide = desk.ask({.min = 3});
  desk.pass(seconds(2));
  const Ticket narrow = desk.ask({});
  EXPECT_TRUE(desk.waits(narrow));
  desk.set_ceiling(2);
  EXPECT_EQ(desk.answer(wide), Answer::impossible);
  EXPECT_TRUE(desk.granted(narrow));
  desk.release(held);
}

TEST_F(LeasePoolTest, ALimitOfNothingMakesWhoWaitsImpossible) {
  desk.take(4);
  const Ticket link = desk.ask({.type = "link"});
  const Ticket cc = desk.ask({.type = "cc"});
  desk.set_limit("link", 0);
  EXPECT_EQ(desk.answer(link), Answer::impossible);
  EXPECT_TRUE(desk.waits(cc));
}

TEST_F(LeasePoolTest, ThereIsALimitOfLimits) {
  for (std::size_t i = 0; i < kMaxLimits; ++i) {
    EXPECT_TRUE(desk.set_limit("t" + std::to_string(i), 1));
  }
  EXPECT_FALSE(desk.set_limit("one-more", 1));
  EXPECT_TRUE(desk.set_limit("t0", 2)) << "it is one of them";
  EXPECT_TRUE(desk.set_limit("t1", std::nullopt));
  EXPECT_TRUE(desk.set_limit("one-more", 1)) << "there is room again";
  EXPECT_EQ(desk.pool.limits().size(), kMaxLimits);
}

TEST_F(LeasePoolTest, PausedNothingNewIsGranted) {
  desk.pause(true);
  EXPECT_TRUE(desk.pool.paused());
  const Ticket ticket = desk.ask({});
  EXPECT_TRUE(desk.waits(ticket));
  EXPECT_EQ(desk.answer(desk.ask({.timeout = seconds(0)})), Answer::unavailable);
  desk.pause(false);
  EXPECT_TRUE(desk.granted(ticket));
}

TEST_F(LeasePoolTest, PausedNothingPaidForIsGrantedEither) {
  const Payer root{Payer::Kind::root, {}, 0};
  desk.covers[root] = 1;
  desk.pause(true);
  EXPECT_TRUE(desk.waits(desk.ask({.payer = root})));
}

TEST_F(LeasePoolTest, PausedLeasesEndAsEver) {
  const LeaseId id = desk.take(2);
  desk.pause(true);
  EXPECT_EQ(desk.release(id), 0);
  EXPECT_EQ(desk.pool.free(), 4);
}

TEST_F(LeasePoolTest, DuringTheGraceNothingIsGranted) {
  desk.pool.set_grace(desk.now + milliseconds(300));
  const Ticket ticket = desk.ask({.min = 3});
  EXPECT_TRUE(desk.waits(ticket));
  EXPECT_THAT(desk.pool.next_deadline(), Optional(desk.now + milliseconds(300)));
  desk.resume(declared(7, 1));
  desk.pass(milliseconds(299));
  EXPECT_TRUE(desk.waits(ticket));
  desk.pass(milliseconds(1));
  EXPECT_TRUE(desk.granted(ticket));
  EXPECT_FALSE(desk.pool.next_deadline());
}

TEST_F(LeasePoolTest, ADeadlineAtTheEndOfTheGraceIsNotTooLate) {
  desk.pool.set_grace(desk.now + milliseconds(300));
  const Ticket ticket = desk.ask({.timeout = milliseconds(300)});
  desk.pass(milliseconds(300));
  EXPECT_TRUE(desk.granted(ticket));
}

TEST_F(LeasePoolTest, TheGraceIsOverAtItsEndAlsoWhenNobodyLooked) {
  desk.pool.set_grace(desk.now + milliseconds(300));
  desk.now += milliseconds(300);
  EXPECT_TRUE(desk.granted(desk.ask({})));
}

TEST_F(LeasePoolTest, WhatIsDeclaredIsHeld) {
  const LeaseId id = desk.resume(declared(7, 3, 9));
  EXPECT_EQ(id, 7U);
  EXPECT_EQ(desk.pool.find(7)->slots, 3);
  EXPECT_EQ(desk.pool.find(7)->session, 9U);
  EXPECT_EQ(desk.pool.free(), 1);
  EXPECT_EQ(desk.pool.counters().resumed, 1U);
  EXPECT_EQ(desk.pool.counters().peak_cost, 3);
  EXPECT_GT(desk.take(1), 7U) << "numbers go on after it";
}

TEST_F(LeasePoolTest, WhatIsDeclaredWithoutANumberGetsOne) {
  EXPECT_EQ(desk.resume(declared(0, 1)), 100U);
  EXPECT_EQ(desk.take(1), 101U);
}

TEST_F(LeasePoolTest, AKnownLeasePassesToTheSessionThatDeclaresIt) {
  const LeaseId id = desk.take(Ask{.min = 2, .type = "link", .session = 1});
  Lease again = declared(id, 1, 2);
  again.job.type = "other";
  EXPECT_EQ(desk.resume(again), id);
  EXPECT_EQ(desk.pool.find(id)->slots, 2) << "its other members stay";
  EXPECT_EQ(desk.pool.find(id)->job.type, "link");
  EXPECT_EQ(desk.pool.counters().resumed, 0U);
  desk.end_session(1);
  EXPECT_NE(desk.pool.find(id), nullptr);
  desk.end_session(2);
  EXPECT_EQ(desk.pool.find(id), nullptr);
}

TEST_F(LeasePoolTest, WhatIsDeclaredCountsBeyondWhatThereIs) {
  desk.take(3);
  desk.resume(declared(7, 4));
  EXPECT_EQ(desk.pool.free(), -3);
  const Ticket ticket = desk.ask({});
  EXPECT_TRUE(desk.waits(ticket));
  EXPECT_EQ(desk.pool.useful(1, desk.now), 1) << "the debt is put to use";
  EXPECT_EQ(desk.pool.demand(desk.now), LeaseDemand{});
  desk.release(7, 3);
  EXPECT_TRUE(desk.waits(ticket)) << "nothing is free before it has come back";
  desk.release(7);
  EXPECT_TRUE(desk.granted(ticket));
}

TEST_F(LeasePoolTest, NothingGrowsWhileThereIsADebt) {
  const LeaseId id = desk.take(2);
  desk.resume(declared(7, 4));
  EXPECT_THAT(desk.resize(id, 1, 4), Optional(2));
}

TEST_F(LeasePoolTest, ANumberThatAClientDeclaredIsNotGivenOutAgain) {
  EXPECT_EQ(desk.resume(declared(kMaxNumber, 1)), kMaxNumber);
  EXPECT_EQ(desk.resume(declared(1, 1)), 1U);
  EXPECT_EQ(desk.resume(declared(3, 1)), 3U);
  const LeaseId next = desk.take(1);
  EXPECT_EQ(desk.pool.leases().size(), 4U);
  EXPECT_NE(next, 0U);
  EXPECT_EQ(desk.pool.free(), 0);
}

TEST_F(LeasePoolTest, NumbersGoOnAfterTheOneThatWasDeclared) {
  desk.release(desk.resume(declared(200, 1)));
  EXPECT_EQ(desk.take(1), 201U);
  desk.release(desk.resume(declared(kMaxNumber, 1)));
  EXPECT_EQ(desk.take(1), 1U);
}

TEST_F(LeasePoolTest, NumbersBeginAnewAfterTheLast) {
  LeaseDesk late(3, kMaxNumber);
  EXPECT_EQ(late.take(1), kMaxNumber);
  EXPECT_EQ(late.take(1), 1U);
  EXPECT_EQ(late.take(1), 2U);
}

TEST_F(LeasePoolTest, ASessionsEndIsTheEndOfItsLeases) {
  const LeaseId id = desk.take(Ask{.min = 3, .session = 5});
  const Ticket other = desk.ask({.min = 2, .session = 6});
  const Ticket own = desk.ask({.priority = -1, .session = 5});
  EXPECT_TRUE(desk.granted(own));
  EXPECT_EQ(desk.pool.count_of(5), 2U);
  desk.end_session(5);
  EXPECT_TRUE(desk.granted(other));
  ASSERT_EQ(desk.recovered.size(), 2U);
  EXPECT_EQ(desk.recovered[0].id, id);
  EXPECT_EQ(desk.recovered[0].slots, 3);
  EXPECT_EQ(desk.causes[0], LeaseEnd::session);
  EXPECT_EQ(desk.pool.counters().recovered, 2U);
  EXPECT_EQ(desk.pool.count_of(5), 0U);
}

TEST_F(LeasePoolTest, TellsOneOfTheLeasesOfASessionAndOfAProcess) {
  const LeaseId id = desk.take(Ask{.session = 5, .owner = kJob});
  desk.take(Ask{.session = 6});
  EXPECT_EQ(desk.pool.any_of(SessionId{5}), id);
  EXPECT_EQ(desk.pool.any_of(kJob), id);
  EXPECT_EQ(desk.pool.any_of(SessionId{7}), 0U);
  EXPECT_EQ(desk.pool.any_of(kMake), 0U);
}

TEST_F(LeasePoolTest, ASessionsRequestsGoWithItWithoutAWord) {
  const LeaseId held = desk.take(4);
  const Ticket gone = desk.ask({.session = 5, .timeout = seconds(1)});
  desk.end_session(5);
  desk.release(held);
  desk.pass(seconds(2));
  EXPECT_TRUE(desk.waits(gone));
  EXPECT_EQ(desk.pool.waiting_count(), 0U);
}

TEST_F(LeasePoolTest, ALeaseOfAProcessOutlivesTheSession) {
  const LeaseId id = desk.take(Ask{.min = 2, .session = 5, .owner = kJob});
  desk.end_session(5);
  ASSERT_NE(desk.pool.find(id), nullptr);
  EXPECT_EQ(desk.pool.find(id)->session, 0U);
  desk.end_owner(kJob);
  EXPECT_EQ(desk.pool.find(id), nullptr);
  EXPECT_EQ(desk.pool.free(), 4);
  ASSERT_EQ(desk.recovered.size(), 1U);
  EXPECT_EQ(desk.causes[0], LeaseEnd::process);
}

TEST_F(LeasePoolTest, TheEndOfAProcessConcernsItsLeasesOnly) {
  desk.take(Ask{.owner = kJob});
  const LeaseId other = desk.take(Ask{.client = kJob, .owner = kMake});
  desk.end_owner(kJob);
  desk.end_owner(process(99));
  EXPECT_EQ(desk.finished.size(), 1U);
  EXPECT_THAT(desk.recovered, IsEmpty()) << "its client is there and knows";
  EXPECT_EQ(desk.pool.counters().released, 1U);
  EXPECT_NE(desk.pool.find(other), nullptr);
}

TEST_F(LeasePoolTest, ALeaseIsHandedToAProcess) {
  const LeaseId id = desk.take(Ask{.session = 5});
  desk.pool.hand_to(id, kJob);
  desk.end_session(5);
  EXPECT_NE(desk.pool.find(id), nullptr);
  desk.pool.hand_to(id, kMake);
  desk.end_owner(kJob);
  EXPECT_NE(desk.pool.find(id), nullptr) << "there is one owner, the last";
  desk.end_owner(kMake);
  EXPECT_EQ(desk.pool.find(id), nullptr);
}

TEST_F(LeasePoolTest, TheGraceEndsWithTheLastThatIsExpected) {
  desk.pool.set_grace(desk.now + milliseconds(300), 2);
  const Ticket ticket = desk.ask({});
  EXPECT_EQ(desk.resume(declared(3, 1)), 3U);
  EXPECT_TRUE(desk.waits(ticket));
  EXPECT_EQ(desk.resume(declared(4, 1)), 4U);
  EXPECT_TRUE(desk.granted(ticket));
}

TEST_F(LeasePoolTest, WhatIsAskedForADeadProcessBelongsToTheSession) {
  const LeaseId held = desk.take(4);
  const Ticket ticket = desk.ask({.session = 5, .owner = kJob});
  desk.end_owner(kJob);
  desk.release(held);
  ASSERT_TRUE(desk.granted(ticket));
  EXPECT_EQ(desk.pool.find(desk.lease(ticket))->owner, std::nullopt);
  desk.end_session(5);
  EXPECT_THAT(desk.pool.leases(), IsEmpty());
}

TEST_F(LeasePoolTest, ALoweredSupplyMayMakeADebt) {
  const LeaseId id = desk.take(3);
  desk.supply(-3);
  EXPECT_EQ(desk.pool.free(), -2);
  const Ticket ticket = desk.ask({});
  desk.release(id, 1);
  EXPECT_TRUE(desk.waits(ticket));
  desk.supply(2);
  EXPECT_TRUE(desk.granted(ticket));
}

TEST_F(LeasePoolTest, WhereSlotsAreOwedAPayerPaysUntilSoManyAreFree) {
  const Payer root{Payer::Kind::root, {}, 0};
  const LeaseId id = desk.take(Ask{.min = 3, .payer = root});
  desk.supply(-4);
  const Ticket ticket = desk.ask(Ask{.min = 4, .payer = root});
  desk.covers[root] = 2;
  desk.reconsider();
  EXPECT_EQ(desk.cost(id), 3) << "kept for the one that waits";
  desk.pool.set_owed(1);
  desk.reconsider();
  EXPECT_EQ(desk.cost(id), 1) << "in one step";
  EXPECT_EQ(desk.pool.free(), -1);
  EXPECT_TRUE(desk.waits(ticket));
}

TEST_F(LeasePoolTest, ThePeakIsOfWhatCosts) {
  const Payer root{Payer::Kind::root, {}, 0};
  desk.covers[root] = 1;
  const LeaseId id = desk.take(Ask{.min = 3, .payer = root});
  EXPECT_EQ(desk.pool.counters().peak_cost, 2);
  desk.release(id);
  EXPECT_EQ(desk.pool.counters().peak_cost, 2);
  EXPECT_EQ(desk.pool.counters().granted, 1U);
}

TEST_F(LeasePoolTest, ASharedPoolGrantsWhatItIsSupplied) {
  const LeaseId id = desk.take(4);
  desk.pool.share();
  const Ticket next = desk.ask({});
  desk.release(id);
  EXPECT_TRUE(desk.waits(next)) << "others may want it as well";
  EXPECT_EQ(desk.pool.surplus(desk.now), 4);
  desk.supply(-4);
  desk.supply(1);
  EXPECT_TRUE(desk.granted(next));
  EXPECT_EQ(desk.pool.surplus(desk.now), 0);
}

TEST_F(LeasePoolTest, ASharedPoolLetsSupplyCome) {
  desk.pool.share();
  desk.supply(-4);
  const Ticket ticket = desk.ask({.timeout = seconds(0)});
  EXPECT_EQ(desk.pool.useful(3, desk.now), 1);
  EXPECT_THAT(desk.pool.next_deadline(), Optional(desk.now));
  desk.advance();
  EXPECT_EQ(desk.answer(ticket), Answer::unavailable);
}

}  // namespace
}  // namespace tokenpool::core
