// Who of those that ask over the protocol is next, and what is paid for: the policy of
// core/lease_pool.h, sentence by sentence.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/lease_desk.h"
#include "core/lease_pool.h"
#include "core/limits.h"
#include "core/processes.h"

namespace tokenpool::core {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::Optional;
using Answer = LeaseDesk::Answer;

const ProcessId kMake = process(1);
const ProcessId kNinja = process(2);
const ProcessId kOther = process(3);
const Payer kRoot{Payer::Kind::root, {}, 0};
const Payer kByMake{Payer::Kind::process, kMake, 0};

Payer by(LeaseId lease) { return {Payer::Kind::lease, {}, lease}; }

struct LeaseLineTest : testing::Test {
  LeaseDesk desk{4};
};

TEST_F(LeaseLineTest, WhoAskedFirstIsFirst) {
  const LeaseId held = desk.take(4);
  const Ticket a = desk.ask({});
  const Ticket b = desk.ask({});
  desk.release(held, 1);
  EXPECT_TRUE(desk.granted(a));
  EXPECT_TRUE(desk.waits(b));
}

TEST_F(LeaseLineTest, AHigherPriorityComesBeforeAge) {
  const LeaseId held = desk.take(4);
  const Ticket low = desk.ask({.priority = -5});
  const Ticket old = desk.ask({});
  const Ticket high = desk.ask({.priority = 7});
  const Ticket young = desk.ask({});
  const auto line = desk.pool.waiting();
  ASSERT_EQ(line.size(), 4U);
  EXPECT_EQ(line.front()->ticket, high);
  EXPECT_EQ(line.back()->ticket, low);
  desk.release(held);
  EXPECT_THAT(desk.order, ElementsAre(1U, high, old, young, low));
}

TEST_F(LeaseLineTest, AStepOfWaitingCountsAsAPointOfPriority) {
  const LeaseId held = desk.take(4);
  const Ticket head = desk.ask({.priority = 100});  // gets the reservation
  const Ticket low = desk.ask({.priority = -1});
  desk.pass(2 * kPriorityStep - milliseconds(1));
  const Ticket in_time = desk.ask({.priority = 1});
  desk.pass(milliseconds(2));
  const Ticket late = desk.ask({.priority = 1});
  desk.release(held);
  EXPECT_THAT(desk.order, ElementsAre(1U, head, in_time, low, late));
}

TEST_F(LeaseLineTest, HoweverManyComeALowPriorityIsServedWithinItsBound) {
  LeaseId held = desk.take(4);
  const Ticket low = desk.ask({.min = 4, .priority = -3});
  const Instant bound = desk.now + 5 * kPriorityStep;
  // Each takes all, and the next one has come before it ends.
  while (desk.waits(low) && desk.now <= bound) {
    const Ticket next = desk.ask({.min = 4, .priority = 2});
    desk.pass(milliseconds(500));
    desk.release(held);
    held = std::max(desk.lease(next), desk.lease(low));
  }
  EXPECT_TRUE(desk.granted(low));
}

TEST_F(LeaseLineTest, WhoDoesNotFitLetsOthersPass) {
  desk.take(2);
  const Ticket wide = desk.ask({.min = 3});
  EXPECT_TRUE(desk.granted(desk.ask({.min = 2})));
  EXPECT_TRUE(desk.waits(wide));
}

TEST_F(LeaseLineTest, AfterTwoSecondsAtTheHeadNobodyPasses) {
  const LeaseId held = desk.take(2);
  const Ticket wide = desk.ask({.min = 4});
  EXPECT_THAT(desk.pool.next_deadline(), Optional(desk.now + kReservationAfter));
  desk.pass(kReservationAfter - milliseconds(1));
  const LeaseId passing = desk.take(1);
  EXPECT_NE(passing, 0U) << "just before";
  desk.pass(milliseconds(1));
  const Ticket late = desk.ask({});
  EXPECT_TRUE(desk.waits(late));
  desk.release(passing);
  EXPECT_TRUE(desk.waits(late)) << "what comes back is kept for it";
  desk.release(held);
  EXPECT_TRUE(desk.granted(wide));
  EXPECT_TRUE(desk.waits(late));
}

TEST_F(LeaseLineTest, AReservationStaysFirstWhateverComes) {
  const LeaseId held = desk.take(4);
  const Ticket first = desk.ask({});
  desk.pass(seconds(2));
  const Ticket high = desk.ask({.priority = 100});
  desk.release(held, 1);
  EXPECT_TRUE(desk.granted(first));
  desk.release(held, 1);
  EXPECT_TRUE(desk.granted(high));
}

TEST_F(LeaseLineTest, WithoutAReservationPriorityCounts) {
  const LeaseId held = desk.take(4);
  const Ticket first = desk.ask({});
  desk.pass(milliseconds(1999));
  const Ticket high = desk.ask({.priority = 100});
  desk.release(held, 1);
  EXPECT_TRUE(desk.granted(high));
  EXPECT_TRUE(desk.waits(first));
}

TEST_F(LeaseLineTest, TheTimeAtTheHeadBeginsAnewWhenAnotherWasThere) {
  desk.take(3);
  const Ticket wide = desk.ask({.min = 3});
  desk.pass(milliseconds(1500));
  const Ticket higher = desk.ask({.min = 3, .priority = 1});
  desk.pass(milliseconds(100));
  desk.cancel(higher);
  desk.pass(milliseconds(1900));
  const LeaseId passing = desk.take(1);
  EXPECT_NE(passing, 0U);
  desk.release(passing);
  desk.pass(milliseconds(100));
  EXPECT_EQ(desk.take(1), 0U);
  EXPECT_TRUE(desk.waits(wide));
}

TEST_F(LeaseLineTest, WhoDoesNotWaitIsNobodyAtTheHead) {
  desk.take(3);
  const Ticket wide = desk.ask({.min = 3});
  for (int i = 0; i < 4; ++i) {
    desk.pass(milliseconds(500));
    const Ticket poll = desk.ask({.min = 3, .priority = 1, .timeout = seconds(0)});
    EXPECT_EQ(desk.answer(poll), Answer::unavailable);
  }
  EXPECT_EQ(desk.take(1), 0U) << "it was first in line for two seconds";
  EXPECT_TRUE(desk.waits(wide));
}

TEST_F(LeaseLineTest, WhoIsServedOnArrivalWasNeverAtTheHead) {
  desk.take(2);
  const Ticket wide = desk.ask({.min = 4});
  desk.pass(seconds(1));
  EXPECT_TRUE(desk.granted(desk.ask({.priority = 1})));
  desk.pass(seconds(1));
  EXPECT_EQ(desk.take(1), 0U);
  EXPECT_TRUE(desk.waits(wide));
}

TEST_F(LeaseLineTest, WhoIsBlockedByALimitIsNotAtTheHead) {
  desk.set_limit("link", 1);
  const LeaseId link = desk.take(Ask{.type = "link"});
  const Ticket blocked = desk.ask({.min = 4, .type = "link"});
  desk.pass(seconds(10));
  EXPECT_NE(desk.take(1), 0U) << "it has no reservation";
  desk.release(link);
  desk.pass(seconds(1));
  EXPECT_NE(desk.take(1), 0U);
  desk.pass(seconds(1));
  EXPECT_EQ(desk.take(1), 0U) << "it is first since then";
  EXPECT_TRUE(desk.waits(blocked));
}

TEST_F(LeaseLineTest, TheTimeAtTheHeadCountsAlsoWhenNobodyLooks) {
  desk.take(3);
  const Ticket wide = desk.ask({.min = 3});
  desk.now += seconds(5);
  EXPECT_EQ(desk.take(1), 0U);
  EXPECT_TRUE(desk.waits(wide));
}

TEST_F(LeaseLineTest, WhatCostsNothingPassesAReservation) {
  desk.covers[kRoot] = 1;
  desk.take(3);
  const Ticket wide = desk.ask({.min = 2});
  desk.pass(seconds(2));
  EXPECT_TRUE(desk.granted(desk.ask({.payer = kRoot})));
  EXPECT_TRUE(desk.waits(wide));
}

TEST_F(LeaseLineTest, WhatTheReservationIsPaidWithIsKeptToo) {
  desk.covers[kRoot] = 1;
  const LeaseId held = desk.take(4);
  const Ticket wide = desk.ask({.min = 3, .payer = kRoot});
  desk.pass(seconds(2));
  const Ticket other = desk.ask({.payer = kRoot});
  EXPECT_TRUE(desk.waits(other)) << "the first would need one slot more";
  desk.release(held, 2);
  EXPECT_TRUE(desk.granted(wide));
  EXPECT_TRUE(desk.waits(other));
}

TEST_F(LeaseLineTest, TheJobOfItsTypeThatTheReservationNeedsIsKeptToo) {
  desk.covers[kRoot] = 1;
  desk.set_limit("link", 1);
  const LeaseId held = desk.take(4);
  const Ticket first = desk.ask({.min = 2, .type = "link"});
  desk.pass(seconds(2));
  EXPECT_TRUE(desk.waits(desk.ask({.type = "link", .payer = kRoot})));
  desk.release(held, 2);
  EXPECT_TRUE(desk.granted(first));
}

TEST_F(LeaseLineTest, ARangeGetsWhatIsFreeWhenNobodyElseWaits) {
  EXPECT_EQ(desk.slots(desk.ask({.min = 1, .max = 3})), 3);
  EXPECT_EQ(desk.slots(desk.ask({.min = 1, .max = 3})), 1);
}

TEST_F(LeaseLineTest, RangesGetEqualParts) {
  LeaseDesk wide(9);
  const LeaseId held = wide.take(9);
  const Ticket a = wide.ask({.min = 1, .max = 9});
  const Ticket b = wide.ask({.min = 1, .max = 9});
  const Ticket c = wide.ask({.min = 1, .max = 2});
  wide.release(held, 8);
  EXPECT_EQ(wide.slots(a), 3);
  EXPECT_EQ(wide.slots(b), 3);
  EXPECT_EQ(wide.slots(c), 2);
}

TEST_F(LeaseLineTest, ARangeGetsAtLeastItsLeast) {
  const LeaseId held = desk.take(4);
  const Ticket a = desk.ask({.min = 3, .max = 4});
  const Ticket b = desk.ask({});
  desk.release(held);
  EXPECT_EQ(desk.slots(a), 3) << "more than its part, but no more";
  EXPECT_TRUE(desk.granted(b));
}

TEST_F(LeaseLineTest, ALimitCountsJobsAndNoSlots) {
  desk.set_limit("link", 2);
  const LeaseId wide = desk.take(Ask{.min = 2, .type = "link"});
  EXPECT_NE(desk.take(Ask{.type = "link"}), 0U);
  EXPECT_EQ(desk.pool.jobs_of_type("link"), 2);
  const Ticket third = desk.ask({.type = "link"});
  EXPECT_TRUE(desk.waits(third));
  EXPECT_NE(desk.take(Ask{.type = "cc"}), 0U) << "it holds up no other type";
  desk.release(wide, 1);
  EXPECT_TRUE(desk.waits(third));
  desk.release(wide);
  EXPECT_TRUE(desk.granted(third));
}

TEST_F(LeaseLineTest, ALimitHoldsWithinOneRoundToo) {
  desk.set_limit("link", 1);
  const LeaseId held = desk.take(4);
  const Ticket a = desk.ask({.type = "link"});
  const Ticket b = desk.ask({.type = "link"});
  desk.release(held);
  EXPECT_TRUE(desk.granted(a));
  EXPECT_TRUE(desk.waits(b));
}

TEST_F(LeaseLineTest, AHigherLimitOrNoneLetsGo) {
  desk.set_limit("link", 1);
  desk.take(Ask{.type = "link"});
  const Ticket b = desk.ask({.type = "link"});
  const Ticket c = desk.ask({.type = "link"});
  desk.set_limit("link", 2);
  EXPECT_TRUE(desk.granted(b));
  EXPECT_TRUE(desk.waits(c));
  desk.set_limit("link", std::nullopt);
  EXPECT_TRUE(desk.granted(c));
}

TEST_F(LeaseLineTest, ALowerLimitLeavesLeasesAsTheyAre) {
  const LeaseId a = desk.take(Ask{.type = "link"});
  desk.take(Ask{.type = "link"});
  desk.set_limit("link", 1);
  EXPECT_EQ(desk.pool.jobs_of_type("link"), 2);
  const Ticket c = desk.ask({.type = "link"});
  desk.release(a);
  EXPECT_TRUE(desk.waits(c)) << "one still runs";
}

TEST_F(LeaseLineTest, WhatIsDeclaredCountsForItsLimit) {
  desk.set_limit("link", 1);
  Lease lease;
  lease.id = 7;
  lease.slots = 1;
  lease.job.type = "link";
  desk.resume(lease);
  EXPECT_TRUE(desk.waits(desk.ask({.type = "link"})));
}

TEST_F(LeaseLineTest, TheRootPaysForOne) {
  desk.covers[kRoot] = 1;
  const Ticket a = desk.ask({.min = 2, .payer = kRoot});
  EXPECT_EQ(desk.paid(a), 1);
  EXPECT_EQ(desk.pool.free(), 3);
  const Ticket b = desk.ask({.payer = kRoot});
  EXPECT_EQ(desk.paid(b), 0) << "it is used";
  desk.release(desk.lease(a));
  desk.release(desk.lease(b));
  EXPECT_EQ(desk.paid(desk.ask({.payer = kRoot})), 1) << "it is free again";
}

TEST_F(LeaseLineTest, AClientOfTokensPaysForAsManyAsItHas) {
  desk.covers[kByMake] = 2;
  desk.take(4);
  EXPECT_TRUE(desk.granted(desk.ask({.payer = kByMake})));
  EXPECT_TRUE(desk.granted(desk.ask({.payer = kByMake})));
  const Ticket third = desk.ask({.payer = kByMake});
  EXPECT_TRUE(desk.waits(third));
  EXPECT_TRUE(desk.waits(desk.ask({.payer = {Payer::Kind::process, kNinja, 0}})));
  desk.covers[kByMake] = 3;
  EXPECT_TRUE(desk.waits(third)) << "nobody has told";
  desk.reconsider();
  EXPECT_TRUE(desk.granted(third));
}

TEST_F(LeaseLineTest, NobodyPaysForNothing) {
  desk.take(4);
  EXPECT_TRUE(desk.waits(desk.ask({})));
}

TEST_F(LeaseLineTest, ALeasePaysForWhatRunsUnderIt) {
  const LeaseId outer = desk.take(3);
  const Ticket a = desk.ask({.min = 2, .payer = by(outer)});
  const Ticket b = desk.ask({.min = 2, .payer = by(outer)});
  EXPECT_EQ(desk.paid(a), 2);
  EXPECT_EQ(desk.paid(b), 1);
  EXPECT_EQ(desk.pool.free(), 0);
  const Ticket inner = desk.ask({.min = 2, .payer = by(desk.lease(b))});
  EXPECT_EQ(desk.paid(inner), 2) << "three deep";
}

TEST_F(LeaseLineTest, WhatALeasePaidForCostsFromItsEndOn) {
  const LeaseId outer = desk.take(2);
  const LeaseId inner = desk.take(Ask{.min = 2, .payer = by(outer)});
  EXPECT_EQ(desk.cost(inner), 0);
  desk.release(outer);
  EXPECT_EQ(desk.cost(inner), 2);
  EXPECT_EQ(desk.pool.free(), 2);
  desk.release(inner);
  EXPECT_EQ(desk.pool.free(), 4);
}

TEST_F(LeaseLineTest, WhatALeaseGivesBackItNoLongerPaysFor) {
  const LeaseId outer = desk.take(4);
  const LeaseId a = desk.take(Ask{.min = 2, .payer = by(outer)});
  const LeaseId b = desk.take(Ask{.min = 2, .payer = by(outer)});
  desk.release(outer, 1);
  EXPECT_EQ(desk.cost(a), 0);
  EXPECT_EQ(desk.cost(b), 1) << "the newest first";
  EXPECT_EQ(desk.pool.free(), 0) << "four slots run four jobs";
  EXPECT_THAT(desk.resize(outer, 1, 1), Optional(1));
  EXPECT_EQ(desk.cost(a) + desk.cost(b), 3);
  EXPECT_EQ(desk.pool.free(), 0);
}

TEST_F(LeaseLineTest, WhatNobodyUsesALeaseMayGiveBack) {
  const LeaseId outer = desk.take(4);
  const LeaseId inner = desk.take(Ask{.min = 2, .payer = by(outer)});
  desk.release(outer, 2);
  EXPECT_EQ(desk.cost(inner), 0);
  EXPECT_EQ(desk.pool.free(), 2);
}

TEST_F(LeaseLineTest, WhatThePoolGaveComesBackFirst) {
  desk.covers[kRoot] = 1;
  const LeaseId id = desk.take(Ask{.min = 3, .payer = kRoot});
  desk.release(id, 2);
  EXPECT_EQ(desk.cost(id), 0);
  EXPECT_EQ(desk.pool.free(), 4);
}

TEST_F(LeaseLineTest, ALeaseThatIsGonePaysForNothing) {
  const LeaseId outer = desk.take(1);
  desk.take(3);
  const Ticket first = desk.ask({.payer = by(outer)});
  EXPECT_TRUE(desk.granted(first));
  const Ticket second = desk.ask({.payer = by(outer)});
  EXPECT_TRUE(desk.waits(second));
  desk.release(outer);
  EXPECT_TRUE(desk.waits(second)) << "the first goes on with the slot";
  desk.release(desk.lease(first));
  EXPECT_TRUE(desk.granted(second));
  EXPECT_EQ(desk.paid(second), 0);
}

TEST_F(LeaseLineTest, WhatIsLeftOverPaysForWhoRuns) {
  desk.covers[kRoot] = 1;
  const LeaseId first = desk.take(Ask{.payer = kRoot});
  const LeaseId second = desk.take(Ask{.payer = kRoot});
  const LeaseId third = desk.take(Ask{.min = 2, .payer = kRoot});
  EXPECT_EQ(desk.pool.free(), 1);
  desk.release(first);
  EXPECT_EQ(desk.cost(second), 0) << "the oldest";
  EXPECT_EQ(desk.cost(third), 2);
  EXPECT_EQ(desk.pool.free(), 2);
  desk.release(second);
  EXPECT_EQ(desk.cost(third), 1) << "in part";
  EXPECT_EQ(desk.pool.free(), 3);
}

TEST_F(LeaseLineTest, WhatIsLeftOverGoesToWhoWaitsFirst) {
  desk.covers[kRoot] = 1;
  const LeaseId first = desk.take(Ask{.payer = kRoot});
  const LeaseId second = desk.take(Ask{.min = 4, .payer = kRoot});
  const Ticket waits = desk.ask({.payer = kRoot});
  desk.release(first);
  EXPECT_EQ(desk.paid(waits), 1);
  EXPECT_EQ(desk.cost(second), 4);
}

TEST_F(LeaseLineTest, WhoWaitsWithoutAPayerGetsTheSlotThatIsPaidFor) {
  desk.covers[kRoot] = 1;
  const LeaseId first = desk.take(Ask{.payer = kRoot});
  const LeaseId second = desk.take(Ask{.min = 4, .payer = kRoot});
  const Ticket waits = desk.ask({});
  desk.release(first);
  EXPECT_EQ(desk.cost(second), 3);
  EXPECT_TRUE(desk.granted(waits));
}

TEST_F(LeaseLineTest, WhereSlotsAreSharedTheSlotThatIsPaidForIsLeftOver) {
  desk.pool.share();
  desk.covers[kRoot] = 1;
  const Ticket first = desk.ask({.payer = kRoot});
  desk.advance();
  const Ticket second = desk.ask({.min = 4, .payer = kRoot});
  desk.supply(0);
  desk.release(desk.lease(first));
  EXPECT_EQ(desk.cost(desk.lease(second)), 3);
  EXPECT_EQ(desk.pool.surplus(desk.now), 1);
}

TEST_F(LeaseLineTest, WhatIsPaidForInPartNeedsTheRest) {
  desk.covers[kByMake] = 2;
  desk.take(3);
  EXPECT_TRUE(desk.waits(desk.ask({.min = 4, .payer = kByMake})));
  EXPECT_EQ(desk.paid(desk.ask({.min = 3, .payer = kByMake})), 2);
}

TEST_F(LeaseLineTest, ARangeTakesAllThatIsPaidFor) {
  desk.covers[kByMake] = 3;
  desk.take(4);
  const Ticket ticket = desk.ask({.min = 1, .max = 5, .payer = kByMake});
  EXPECT_EQ(desk.slots(ticket), 3);
  EXPECT_EQ(desk.paid(ticket), 3);
}

TEST_F(LeaseLineTest, AClientOfTheJobserverPaysOneSlotForEachChild) {
  const Payer first{Payer::Kind::process, kMake, 0, kNinja};
  const Payer second{Payer::Kind::process, kMake, 0, kOther};
  desk.covers[kByMake] = 3;
  desk.take(4);
  const Ticket ticket = desk.ask({.min = 1, .max = 5, .payer = first});
  EXPECT_EQ(desk.slots(ticket), 1);
  EXPECT_TRUE(desk.waits(desk.ask({.payer = first}))) << "of the same recipe";
  const Ticket other = desk.ask({.payer = second});
  EXPECT_EQ(desk.paid(other), 1);
  desk.covers[kByMake] = 2;
  desk.release(desk.lease(other));
  EXPECT_EQ(desk.paid(desk.ask({.payer = second})), 1);
}

TEST_F(LeaseLineTest, AClientPaysForNoMoreChildrenThanItHasTokensFor) {
  desk.covers[kByMake] = 1;
  desk.take(4);
  EXPECT_TRUE(desk.granted(desk.ask({.payer = {Payer::Kind::process, kMake, 0, kNinja}})));
  EXPECT_TRUE(desk.waits(desk.ask({.payer = {Payer::Kind::process, kMake, 0, kOther}})));
}

TEST_F(LeaseLineTest, WhatIsDeclaredIsPaidForAsIfItWereGranted) {
  const LeaseId outer = desk.take(2);
  Lease lease;
  lease.id = 7;
  lease.slots = 3;
  lease.payer = by(outer);
  lease.paid = 3;
  desk.resume(lease);
  EXPECT_EQ(desk.pool.find(7)->paid, 2) << "found anew";
}

TEST_F(LeaseLineTest, UsefulIsWhatWouldBeGranted) {
  LeaseDesk empty(4);
  empty.supply(-4);
  EXPECT_EQ(empty.pool.useful(4, empty.now), 0);
  empty.ask({.min = 3});
  EXPECT_EQ(empty.pool.useful(2, empty.now), 0);
  EXPECT_EQ(empty.pool.useful(4, empty.now), 3);
  empty.ask({.min = 1, .max = 4});
  EXPECT_EQ(empty.pool.useful(2, empty.now), 2);
  empty.pause(true);
  EXPECT_EQ(empty.pool.useful(4, empty.now), 0);
}

TEST_F(LeaseLineTest, DemandIsWhomOneSlotWouldServe) {
  LeaseDesk empty(4);
  const LeaseId held = empty.take(Ask{.min = 2, .client = kMake});
  empty.supply(-2);
  EXPECT_EQ(empty.pool.demand(empty.now), std::nullopt);
  empty.ask({.min = 3, .client = kNinja});
  EXPECT_EQ(empty.pool.demand(empty.now), std::nullopt) << "one would not do";
  const Instant then = empty.now;
  empty.ask({.client = kMake});
  const LeaseDemand single{kMake, 2, then};
  EXPECT_THAT(empty.pool.demand(empty.now), Optional(single));
  empty.pass(seconds(2));
  const LeaseDemand wide{kNinja, 0, then};
  EXPECT_THAT(empty.pool.demand(empty.now), Optional(wide)) << "from its reservation on";
  empty.pause(true);
  EXPECT_EQ(empty.pool.demand(empty.now), std::nullopt);
  (void)held;
}

TEST_F(LeaseLineTest, DemandLeavesOutWhoIsBlocked) {
  LeaseDesk empty(4);
  empty.set_limit("link", 1);
  empty.take(Ask{.type = "link"});
  empty.supply(-3);
  empty.ask({.type = "link"});
  EXPECT_EQ(empty.pool.demand(empty.now), std::nullopt);
}

TEST_F(LeaseLineTest, SurplusIsWhatNobodyCanUse) {
  EXPECT_EQ(desk.pool.surplus(desk.now), 4);
  desk.take(2);
  EXPECT_EQ(desk.pool.surplus(desk.now), 2);
  desk.ask({.min = 3});
  EXPECT_EQ(desk.pool.surplus(desk.now), 2) << "too few for it";
  desk.pass(seconds(2));
  EXPECT_EQ(desk.pool.surplus(desk.now), 0) << "kept for its reservation";
  desk.pause(true);
  EXPECT_EQ(desk.pool.surplus(desk.now), 2) << "nobody gets it now";
}

TEST_F(LeaseLineTest, DuringTheGraceNothingIsTooMuch) {
  desk.pool.set_grace(desk.now + milliseconds(300));
  EXPECT_EQ(desk.pool.surplus(desk.now), 0);
  desk.pass(milliseconds(300));
  EXPECT_EQ(desk.pool.surplus(desk.now), 4);
}

}  // namespace
}  // namespace tokenpool::core
