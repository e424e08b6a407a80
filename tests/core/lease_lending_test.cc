// Who waits lends the slot that was paid for it; the policy is stated in core/lease_pool.h.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/lease_desk.h"
#include "core/limits.h"
#include "core/processes.h"

namespace tokenpool::core {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// A make with four children, all slots are its tokens: nothing is supplied to the leases.
class LeaseLendingTest : public testing::Test {
 protected:
  LeaseLendingTest() {
    desk.covers[make] = 4;
    desk.reconsider();
  }
  /// What a child of make asks.
  Ticket ask(int child, int min, const std::string& type = "") {
    return desk.ask({.min = min, .type = type, .session = SessionId(child), .payer = of(child)});
  }
  [[nodiscard]] Payer of(int child) const {
    return {Payer::Kind::process, make.process, 0, process(100 + child)};
  }

  const Payer make{Payer::Kind::process, process(1), 0};
  LeaseDesk desk{4, 1, 0};
};

TEST_F(LeaseLendingTest, WhoEachKeepsOneAndWantsTwoRunsTwoByTwo) {
  const Ticket a = ask(1, 2);
  EXPECT_TRUE(desk.waits(a)) << "nobody else waits yet";
  const Ticket b = ask(2, 2);
  EXPECT_TRUE(desk.granted(a));
  EXPECT_EQ(desk.paid(a), 1);
  EXPECT_TRUE(desk.waits(b)) << "what it could use is lent to the first";
  const Ticket c = ask(3, 2);
  EXPECT_TRUE(desk.waits(b));
  const Ticket d = ask(4, 2);
  EXPECT_TRUE(desk.granted(b));
  EXPECT_TRUE(desk.waits(c));
  EXPECT_TRUE(desk.waits(d));
  EXPECT_EQ(desk.pool.free(), -2);
  desk.release(desk.lease(a));
  EXPECT_TRUE(desk.waits(c)) << "b still has the slot of c or of d";
  desk.supply(1);
  EXPECT_TRUE(desk.granted(c)) << "make has given back what it had for the child that ended";
  EXPECT_EQ(desk.pool.free(), -1);
  desk.release(desk.lease(b));
  desk.supply(1);
  EXPECT_TRUE(desk.granted(d));
  EXPECT_EQ(desk.pool.free(), 0);
}

TEST_F(LeaseLendingTest, TheFirstInLineGathersFromAll) {
  const Ticket wide = ask(1, 4);
  const Ticket b = ask(2, 2);
  const Ticket c = ask(3, 3);
  EXPECT_TRUE(desk.waits(wide));
  EXPECT_TRUE(desk.waits(b)) << "only the first in line borrows";
  const Ticket d = ask(4, 2);
  EXPECT_TRUE(desk.granted(wide));
  EXPECT_TRUE(desk.waits(b));
  EXPECT_TRUE(desk.waits(c));
  EXPECT_TRUE(desk.waits(d));
}

TEST_F(LeaseLendingTest, FreeSlotsComeFirst) {
  const Ticket a = ask(1, 2);
  desk.supply(1);
  EXPECT_TRUE(desk.granted(a));
  EXPECT_EQ(desk.pool.free(), 0);
  const Ticket b = ask(2, 3);
  desk.supply(1);
  EXPECT_TRUE(desk.waits(b));
  const Ticket c = ask(3, 3);
  EXPECT_TRUE(desk.granted(b)) << "its own, a free one, and that of c";
  EXPECT_TRUE(desk.waits(c));
  EXPECT_EQ(desk.pool.free(), -1);
}

TEST_F(LeaseLendingTest, ALimitMakesSomebodyWaitThatLends) {
  desk.set_limit("link", 1);
  EXPECT_TRUE(desk.granted(ask(1, 1, "link")));
  const Ticket link = ask(2, 1, "link");
  EXPECT_TRUE(desk.waits(link));
  const Ticket wide = ask(3, 2);
  EXPECT_TRUE(desk.granted(wide)) << "first of those that no limit stops";
}

TEST_F(LeaseLendingTest, WhatIsLentPaysForNobodyElseBelowThatChild) {
  const Ticket a = ask(1, 2);
  const Ticket b = ask(2, 2);
  ASSERT_TRUE(desk.granted(a));
  const Ticket beside_b = ask(2, 1);
  EXPECT_TRUE(desk.waits(beside_b)) << "b's slot is in use";
  EXPECT_TRUE(desk.granted(ask(3, 1))) << "what another child's job has is not";
  desk.release(desk.lease(a));
  EXPECT_TRUE(desk.granted(beside_b));
  EXPECT_TRUE(desk.waits(b));
}

TEST_F(LeaseLendingTest, WhenTheLenderGoesTheNextTokenPays) {
  const Ticket a = ask(1, 2);
  const Ticket b = ask(2, 2);
  ASSERT_TRUE(desk.granted(a));
  desk.cancel(b);
  EXPECT_EQ(desk.pool.free(), -1);
  EXPECT_EQ(desk.pool.demand(desk.now), LeaseDemand{}) << "before anybody else";
  EXPECT_EQ(desk.pool.useful(1, desk.now), 1);
  desk.supply(1);
  EXPECT_EQ(desk.pool.free(), 0);
  desk.release(desk.lease(a));
  EXPECT_EQ(desk.pool.free(), 1);
}

TEST_F(LeaseLendingTest, WhoDoesNotWaitNeitherBorrowsNorLends) {
  const Ticket b = ask(2, 2);
  const Ticket high = desk.ask({.min = 2, .priority = 1, .payer = of(1), .timeout = seconds(0)});
  EXPECT_EQ(desk.answer(high), LeaseDesk::Answer::unavailable);
  const Ticket low = desk.ask({.min = 2, .priority = -1, .payer = of(1), .timeout = seconds(0)});
  EXPECT_EQ(desk.answer(low), LeaseDesk::Answer::unavailable);
  EXPECT_TRUE(desk.waits(b));
}

TEST_F(LeaseLendingTest, AReservationBorrowsAndNobodyElse) {
  const Ticket wide = desk.ask({.min = 3});
  desk.pass(kReservationAfter);
  const Ticket a = ask(1, 2);
  const Ticket b = ask(2, 2);
  EXPECT_TRUE(desk.waits(a)) << "two lend, but they are for the first in line";
  EXPECT_TRUE(desk.waits(b));
  const Ticket c = ask(3, 2);
  EXPECT_TRUE(desk.granted(wide));
  EXPECT_TRUE(desk.waits(c));
}

/// One more is out than there is: a job that ran before its arbiter came.
class IndebtedLeasesTest : public testing::Test {
 protected:
  IndebtedLeasesTest() {
    Lease early;
    early.slots = 1;
    run.resume(early);
    run.set_ceiling(4);
  }
  const Payer root{Payer::Kind::root, {}, 0};
  LeaseDesk run{1, 1, 0};
};

TEST_F(IndebtedLeasesTest, WhoIsFirstIsNotPassedBySomebodyWhoLends) {
  const Ticket second = run.ask({.payer = root});
  const Ticket first = run.ask({.priority = 1, .payer = root});
  const Ticket wide = run.ask({.min = 2, .payer = root});
  run.pass(kReservationAfter);
  EXPECT_EQ(run.pool.free(), -1);
  run.covers[root] = 2;
  run.reconsider();
  EXPECT_TRUE(run.granted(first));
  EXPECT_TRUE(run.waits(second)) << "the slot that is paid for it is in use";
  EXPECT_TRUE(run.waits(wide));
}

TEST_F(IndebtedLeasesTest, WhoAsksForARangeDoesNotTakeWhatIsLent) {
  const Ticket first = run.ask({.min = 1, .max = 4, .payer = root});
  const Ticket second = run.ask({.min = 2, .payer = root});
  run.covers[root] = 2;
  run.reconsider();
  EXPECT_EQ(run.slots(first), 1) << "the other one is what the second lends";
  EXPECT_TRUE(run.waits(second));
}

TEST_F(LeaseLendingTest, OfALeaseOnlyTheJobThatAsksIsIdle) {
  LeaseDesk serve{4, 1};
  const LeaseId outer = serve.take(4);
  const Payer payer{Payer::Kind::lease, {}, outer};
  const Ticket first = serve.ask({.min = 2});
  const Ticket inner = serve.ask({.min = 5, .payer = payer});
  EXPECT_EQ(serve.answer(inner), LeaseDesk::Answer::impossible);
  serve.set_limit("link", 1);
  serve.take({.min = 1, .type = "link", .payer = payer});
  const Ticket blocked = serve.ask({.min = 3, .type = "link", .payer = payer});
  EXPECT_TRUE(serve.waits(blocked));
  EXPECT_TRUE(serve.waits(first)) << "one of the three lends, the others may be in use";
  const Ticket more = serve.ask({.min = 1, .type = "link", .payer = payer});
  EXPECT_TRUE(serve.waits(more));
  EXPECT_TRUE(serve.waits(first)) << "nothing is left that pays for it";
}

TEST_F(LeaseLendingTest, NobodyLendsWhatIsFreeAndToBeShared) {
  LeaseDesk run{4, 1};
  const LeaseId outer = run.take(2);
  const Payer payer{Payer::Kind::lease, {}, outer};
  const LeaseId other = run.take(2);
  run.pool.share();
  const Ticket first = run.ask({});
  const Ticket range = run.ask({.min = 1, .max = 2, .payer = payer});
  const Ticket wide = run.ask({.min = 4, .payer = payer});
  run.release(other, 1);
  EXPECT_TRUE(run.granted(first)) << "with the slot that is free";
  EXPECT_EQ(run.pool.free(), 0);
  EXPECT_EQ(run.slots(range), 2) << "so none of these is lent";
  EXPECT_TRUE(run.waits(wide));
}

}  // namespace
}  // namespace tokenpool::core
