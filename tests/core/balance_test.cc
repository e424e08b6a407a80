// One pool for both: tokens become slots of leases and back, and everybody gets his share.
#include "core/balance.h"

#include <algorithm>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/both_desk.h"
#include "core/limits.h"
#include "core/processes.h"

namespace tokenpool::core {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Optional;

const ProcessId kMake = process(1);
const ProcessId kCargo = process(2);
const ProcessId kNinja = process(3);
const ProcessId kExec = process(4);  // a client of leases
const ProcessId kOther = process(5);

struct BalanceTest : testing::Test {
  BalanceTest() { introduce(&desk); }
  static void introduce(BothDesk* desk) {
    for (const ProcessId who : {kMake, kCargo, kNinja}) desk->tokens.introduce(who);
    desk->thieves = {kCargo};
  }
  void hold(ProcessId who, int count) {
    for (int i = 0; i < count; ++i) ASSERT_TRUE(desk.poll(who));
  }
  LeaseId take(const Ask& what) { return desk.leases.lease(desk.lease(what)); }
  BothDesk desk{3};
};

TEST_F(BalanceTest, ALeaseGetsWhatLiesInTheFifo) {
  const LeaseId id = take({.min = 2, .client = kExec});
  ASSERT_NE(id, 0U);
  EXPECT_EQ(desk.tokens.fifo, 1);
  EXPECT_EQ(desk.tokens.pool.lent(), 2);
  EXPECT_EQ(desk.tokens.pool.counters().peak_outstanding, 2);
  desk.release(id, 1);
  EXPECT_EQ(desk.tokens.fifo, 2) << "what no lease uses goes back at once";
  desk.release(id);
  EXPECT_EQ(desk.tokens.fifo, 3);
}

TEST_F(BalanceTest, NothingIsLentThatIsOfNoUse) {
  hold(kMake, 1);
  const Ticket wide = desk.lease({.min = 3, .client = kExec});
  EXPECT_TRUE(desk.leases.waits(wide));
  EXPECT_EQ(desk.tokens.fifo, 2);
  EXPECT_EQ(desk.tokens.pool.borrowing(), nullptr);
}

TEST_F(BalanceTest, ARangeOfWhichSomeIsPaidForGetsWhatIsFreeToo) {
  const Payer root{Payer::Kind::root, {}, 0};
  desk.leases.covers[root] = 1;
  const LeaseId id = take({.min = 1, .max = 8, .client = kExec, .payer = root});
  ASSERT_NE(id, 0U);
  EXPECT_EQ(desk.leases.pool.find(id)->slots, 4);
  EXPECT_EQ(desk.leases.pool.find(id)->paid, 1);
  EXPECT_EQ(desk.tokens.pool.lent(), 3);
}

TEST_F(BalanceTest, WhatIsPaidForIsGrantedThoughNothingIsFree) {
  hold(kMake, 3);
  const Payer root{Payer::Kind::root, {}, 0};
  desk.leases.covers[root] = 1;
  const LeaseId id = take({.min = 1, .max = 8, .client = kExec, .payer = root});
  ASSERT_NE(id, 0U);
  EXPECT_EQ(desk.leases.pool.find(id)->slots, 1);
}

TEST_F(BalanceTest, WhoAsksWithoutWaitingMeetsTheFifoToo) {
  const Ticket ticket = desk.lease({.min = 3, .timeout = seconds(0)});
  EXPECT_TRUE(desk.leases.granted(ticket));
  const Ticket late = desk.lease({.timeout = seconds(0)});
  desk.pass(seconds(0));
  EXPECT_EQ(desk.leases.answer(late), LeaseDesk::Answer::unavailable);
  EXPECT_EQ(desk.tokens.pool.borrowing(), nullptr);
}

TEST_F(BalanceTest, AResizeMeetsTheFifoToo) {
  const LeaseId id = take({.client = kExec});
  EXPECT_THAT(desk.resize(id, 3, 3), Optional(3));
  EXPECT_EQ(desk.tokens.fifo, 0);
  EXPECT_THAT(desk.resize(id, 1, 1), Optional(1));
  EXPECT_EQ(desk.tokens.fifo, 2);
  EXPECT_EQ(desk.resize(id, 4, 4), std::nullopt);
  EXPECT_EQ(desk.tokens.fifo, 2);
}

TEST_F(BalanceTest, ATokenThatIsReturnedServesALease) {
  hold(kMake, 3);
  const Ticket ticket = desk.lease({.client = kExec});
  EXPECT_TRUE(desk.leases.waits(ticket));
  ASSERT_NE(desk.tokens.pool.borrowing(), nullptr);
  EXPECT_EQ(desk.tokens.pool.borrowing()->who, kExec);
  desk.give(kMake);
  EXPECT_TRUE(desk.leases.granted(ticket));
  EXPECT_EQ(desk.tokens.fifo, 0);
}

TEST_F(BalanceTest, ASlotThatIsReleasedServesAReader) {
  const LeaseId id = take({.min = 3, .client = kExec});
  const RequestId read = desk.read(kCargo);
  EXPECT_FALSE(desk.tokens.granted(read));
  desk.release(id, 1);
  EXPECT_TRUE(desk.tokens.granted(read));
}

TEST_F(BalanceTest, WhoHoldsLessIsFirst) {
  const LeaseId held = take({.min = 3, .client = kExec});
  const Ticket mine = desk.lease({.client = kExec});
  const RequestId read = desk.read(kCargo);
  const Ticket others = desk.lease({.client = kOther});
  desk.release(held, 1);
  EXPECT_TRUE(desk.tokens.granted(read)) << "it has nothing, the first in line two";
  desk.release(held, 1);
  desk.pass(kOfferWindow);
  EXPECT_TRUE(desk.leases.granted(mine)) << "among leases the line counts";
  EXPECT_TRUE(desk.leases.waits(others));
}

TEST_F(BalanceTest, AmongEqualsWhoWaitsLonger) {
  hold(kMake, 3);
  const RequestId before = desk.read(kCargo);
  desk.pass(milliseconds(1));
  const Ticket ticket = desk.lease({.client = kExec});
  desk.pass(milliseconds(1));
  const RequestId after = desk.read(kNinja);
  desk.give(kMake);
  EXPECT_TRUE(desk.tokens.granted(before));
  desk.pass(milliseconds(100));  // no offer is open
  desk.give(kMake);
  desk.pass(milliseconds(100));
  EXPECT_TRUE(desk.leases.granted(ticket));
  EXPECT_FALSE(desk.tokens.granted(after));
}

TEST_F(BalanceTest, WhatLeasesGiveBackIsOfferedToPollersToo) {
  const LeaseId a = take({.client = kExec});
  const LeaseId b = take({.min = 2, .client = kExec});
  const Ticket first = desk.lease({.client = kExec});
  const Ticket second = desk.lease({.client = kExec});
  desk.release(a);
  EXPECT_TRUE(desk.leases.granted(first));
  desk.release(b, 1);
  EXPECT_EQ(desk.tokens.fifo, 1) << "every second";
  EXPECT_TRUE(desk.poll(kMake));
  EXPECT_TRUE(desk.leases.waits(second));
  desk.give(kMake);
  desk.pass(seconds(1));
  EXPECT_TRUE(desk.leases.granted(second));
}

TEST_F(BalanceTest, AnOfferThatNobodyClaimsServesTheLease) {
  const LeaseId a = take({.client = kExec});
  const LeaseId b = take({.min = 2, .client = kExec});
  desk.lease({.client = kExec});
  const Ticket second = desk.lease({.client = kExec});
  desk.release(a);
  desk.release(b, 1);
  EXPECT_TRUE(desk.leases.waits(second));
  desk.pass(kOfferWindow);
  EXPECT_TRUE(desk.leases.granted(second));
  EXPECT_EQ(desk.tokens.fifo, 0);
}

TEST_F(BalanceTest, AWideLeaseGathersFromItsReservationOn) {
  hold(kMake, 3);
  const Ticket wide = desk.lease({.min = 3, .client = kExec});
  desk.give(kMake);
  EXPECT_EQ(desk.tokens.fifo, 1) << "not yet";
  EXPECT_TRUE(desk.poll(kMake));
  desk.pass(kReservationAfter);
  for (int i = 0; i < 3; ++i) {
    desk.give(kMake);
    desk.pass(kOfferWindow);
    EXPECT_EQ(desk.tokens.fifo, 0);
  }
  EXPECT_TRUE(desk.leases.granted(wide));
}

TEST_F(BalanceTest, WhatWasGatheredGoesBackWithTheRequest) {
  hold(kMake, 2);
  const Ticket wide = desk.lease({.min = 3, .client = kExec});
  desk.pass(kReservationAfter);
  EXPECT_EQ(desk.tokens.pool.lent(), 1);
  EXPECT_TRUE(desk.leases.cancel(wide));
  desk.settle();
  EXPECT_EQ(desk.tokens.pool.lent(), 0);
  EXPECT_EQ(desk.tokens.fifo, 1);
}

TEST_F(BalanceTest, PausedNothingIsGatheredOrKept) {
  hold(kMake, 2);
  const Ticket wide = desk.lease({.min = 3, .client = kExec});
  desk.pass(kReservationAfter);
  EXPECT_EQ(desk.tokens.pool.lent(), 1);
  desk.leases.pause(true);
  desk.settle();
  EXPECT_EQ(desk.tokens.fifo, 1);
  desk.leases.pause(false);
  desk.settle();
  EXPECT_EQ(desk.tokens.fifo, 0);
  desk.give(kMake, 2);
  desk.pass(kOfferWindow);
  EXPECT_TRUE(desk.leases.granted(wide));
}

TEST_F(BalanceTest, FewerSlotsAreReachedAlthoughLeasesWait) {
  std::vector<LeaseId> held;
  for (int i = 0; i < 3; ++i) held.push_back(take({.client = kExec}));
  const Ticket next = desk.lease({.client = kExec});
  desk.set_issued(1);
  EXPECT_EQ(desk.tokens.pool.owed(), 2);
  desk.release(held[0]);
  desk.release(held[1]);
  EXPECT_TRUE(desk.leases.waits(next));
  EXPECT_EQ(desk.tokens.pool.owed(), 0);
  EXPECT_EQ(desk.leases.pool.leased(), 1);
  desk.release(held[2]);
  desk.pass(kOfferWindow);
  EXPECT_TRUE(desk.leases.granted(next));
  desk.set_issued(3);
  EXPECT_EQ(desk.tokens.fifo, 2);
}

TEST_F(BalanceTest, FewerSlotsAreReachedAlthoughTheImplicitSlotIsFree) {
  const Payer root{Payer::Kind::root, {}, 0};
  desk.leases.covers[root] = 1;
  const LeaseId first = take({.client = kExec, .payer = root});
  EXPECT_EQ(desk.leases.cost(first), 0) << "the command's own slot";
  std::vector<LeaseId> others;
  for (int i = 0; i < 3; ++i) others.push_back(take({.client = kExec, .payer = root}));
  const Ticket next = desk.lease({.client = kExec, .payer = root});
  desk.set_issued(2);
  EXPECT_EQ(desk.tokens.pool.owed(), 1);
  desk.release(first);
  EXPECT_TRUE(desk.leases.waits(next)) << "three jobs run, and there are three slots";
  EXPECT_EQ(desk.leases.cost(others[0]), 0) << "a job that runs is on the free slot";
  EXPECT_EQ(desk.tokens.pool.owed(), 0);
  desk.release(others[1]);
  EXPECT_TRUE(desk.leases.granted(next));
}

TEST_F(BalanceTest, AWideLeasePaysSeveralDebtsAtOnce) {
  const LeaseId id = take({.min = 3, .client = kExec});
  desk.lease({.client = kExec});
  desk.set_issued(0);
  desk.release(id);
  EXPECT_EQ(desk.tokens.pool.owed(), 0);
  EXPECT_EQ(desk.tokens.pool.lent(), 0);
}

TEST_F(BalanceTest, MoreSlotsServeWhoWaits) {
  hold(kMake, 3);
  const Ticket ticket = desk.lease({.client = kExec});
  desk.set_issued(4);
  desk.pass(kOfferWindow);
  EXPECT_TRUE(desk.leases.granted(ticket));
}

TEST_F(BalanceTest, BytesThatAreGoneAreNotSupplied) {
  desk.tokens.next_lend_lacks = 2;
  const Ticket ticket = desk.lease({.min = 2, .client = kExec});
  EXPECT_TRUE(desk.leases.waits(ticket));
  EXPECT_EQ(desk.tokens.held(kCargo), 2) << "the only one that had the FIFO open";
  EXPECT_EQ(desk.tokens.fifo, 1) << "one alone is of no use";
  desk.give(kCargo);
  EXPECT_TRUE(desk.leases.granted(ticket));
}

TEST_F(BalanceTest, DebtsOfAResumptionArePaidFirst) {
  hold(kMake, 3);
  Lease lease;
  lease.id = 7;
  lease.session = 1;
  lease.slots = 2;
  desk.leases.resume(lease);
  desk.settle();
  EXPECT_EQ(desk.leases.pool.free(), -2);
  const Ticket ticket = desk.lease({.client = kExec});
  desk.give(kMake, 2);
  desk.pass(kOfferWindow);
  EXPECT_EQ(desk.leases.pool.free(), 0);
  EXPECT_TRUE(desk.leases.waits(ticket));
  desk.give(kMake);
  desk.pass(kOfferWindow);
  EXPECT_TRUE(desk.leases.granted(ticket));
}

TEST_F(BalanceTest, ANewArbiterIsLeftWhatWasLent) {
  const LeaseId id = take({.min = 2, .client = kExec});
  const Lease lease = *desk.leases.pool.find(id);
  desk.restart({lease}, milliseconds(300));
  EXPECT_EQ(desk.tokens.pool.lent(), 2);
  EXPECT_EQ(desk.leases.pool.free(), 0);
  EXPECT_EQ(desk.tokens.fifo, 1);
  desk.release(id);
  EXPECT_EQ(desk.leases.pool.free(), 2) << "others may still be declared";
  desk.pass(milliseconds(300));
  EXPECT_EQ(desk.tokens.fifo, 3);
}

TEST_F(BalanceTest, MoreMayBeLentThanThereAreWhenAnArbiterDies) {
  const LeaseId id = take({.min = 3, .client = kExec});
  desk.set_issued(1);
  const Lease lease = *desk.leases.pool.find(id);
  desk.restart({lease}, milliseconds(300));
  EXPECT_EQ(desk.tokens.pool.lent(), 3);
  EXPECT_EQ(desk.tokens.pool.owed(), 2);
  EXPECT_EQ(desk.tokens.pool.free(), 0);
  desk.pass(milliseconds(300));
  desk.release(id);
  EXPECT_EQ(desk.tokens.fifo, 1);
}

TEST_F(BalanceTest, WhatNobodyDeclaresIsBackAfterTheGrace) {
  take({.min = 2, .client = kExec});
  desk.restart({}, milliseconds(300));
  EXPECT_EQ(desk.tokens.fifo, 1);
  desk.pass(milliseconds(300));
  EXPECT_EQ(desk.tokens.fifo, 3);
}

TEST_F(BalanceTest, ABlindClientIsSeenWhenLeasesHoldEverything) {
  const LeaseId id = take({.min = 3, .client = kExec});
  desk.lease({.client = kExec});
  for (int i = 0; i < 3; ++i) {
    desk.pass(kBlindAfter);
    EXPECT_FALSE(desk.poll(kNinja));
  }
  desk.release(id, 1);
  EXPECT_TRUE(desk.poll(kNinja)) << "it was kept for it";
}

// Actors that hold what they get for a while, on a clock of 1 ms.
struct Busy : BalanceTest {
  static constexpr int kHold = 10;
  struct Held {
    LeaseId lease = 0;
    ProcessId who;
    int until = 0;
  };
  void tick() {
    ++time;
    desk.pass(milliseconds(1));
    for (std::size_t i = held.size(); i-- > 0;) {
      if (held[i].until > time) continue;
      const Held done = held[i];
      held.erase(held.begin() + static_cast<std::ptrdiff_t>(i));
      if (done.lease != 0) {
        desk.release(done.lease);
      } else {
        desk.give(done.who);
      }
    }
    if (reads) read();
    if (streams) stream();
    while (polls && desk.tokens.fifo > 0 && desk.poll(kMake)) got(kMake);
    collect();
  }
  void read() {
    if (reading && desk.tokens.granted(*reading)) got(kCargo);
    const bool has =
        std::any_of(held.begin(), held.end(), [](const Held& one) { return one.who == kCargo; });
    if (reading && desk.tokens.granted(*reading)) reading.reset();
    if (!reading && !has) reading = desk.read(kCargo);
  }
  void stream() {
    while (asked.size() < 8) asked.push_back(desk.lease({.min = width, .client = kExec}));
  }
  void collect() {
    for (std::size_t i = asked.size(); i-- > 0;) {
      if (!desk.leases.granted(asked[i])) continue;
      held.push_back({desk.leases.lease(asked[i]), kExec, time + kHold});
      ++grants[kExec];
      asked.erase(asked.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
  void got(ProcessId who) {
    held.push_back({0, who, time + kHold + (spread ? ++spreads % 7 : 0)});
    ++grants[who];
  }
  void run(int ticks) {
    for (int i = 0; i < ticks; ++i) tick();
  }

  bool polls = true;
  bool reads = true;
  bool streams = true;
  int width = 1;
  bool spread = false;  ///< not all hold for as long
  int spreads = 0;
  int time = 0;
  std::vector<Held> held;
  std::vector<Ticket> asked;
  std::optional<RequestId> reading;
  std::map<ProcessId, int> grants;
};

TEST_F(Busy, APollerAReaderAndAStreamOfLeasesGetTheirShares) {
  run(3000);
  // Three slots, three that want them, one of them no more than one at a time.
  const int all = grants[kMake] + grants[kCargo] + grants[kExec];
  EXPECT_GE(all, 3 * 3000 / (kHold + 3)) << "nothing lies idle";
  for (const ProcessId who : {kMake, kCargo, kExec}) {
    EXPECT_GE(grants[who], all / 6) << who.pid << ": half a fair share";
  }
}

TEST_F(Busy, AStreamOfLeasesLeavesAPollerItsShare) {
  reads = false;
  run(3000);
  const int all = grants[kMake] + grants[kExec];
  EXPECT_GE(grants[kMake], all / 4);
  EXPECT_GE(grants[kExec], all / 4);
}

TEST_F(Busy, AStreamOfWideLeasesStarvesNoReader) {
  polls = false;
  width = 2;
  run(3000);
  EXPECT_GE(grants[kCargo], 3000 / (3 * kHold));
  EXPECT_GE(grants[kExec], 3000 / (3 * kHold));
}

TEST_F(Busy, AWideLeaseGetsItsSlotsBesideBusyClients) {
  streams = false;
  spread = true;
  run(100);
  const Ticket wide = desk.lease({.min = 3, .client = kExec});
  run(2000);
  EXPECT_TRUE(desk.leases.waits(wide)) << "nobody leaves it two at once";
  run(4 * kHold);
  EXPECT_TRUE(desk.leases.granted(wide)) << "2 s and the time that the others hold theirs";
}

TEST_F(Busy, WhenTheLeasesAreDoneNothingOfThemIsLeft) {
  run(500);
  streams = false;
  for (const Ticket ticket : asked) desk.leases.cancel(ticket);
  asked.clear();
  desk.settle();
  run(2 * kHold);
  EXPECT_EQ(desk.tokens.pool.lent(), 0);
  grants.clear();
  run(1000);
  EXPECT_GE(grants[kMake] + grants[kCargo], 3 * 1000 / (kHold + 3));
}

// Nobody's calls are seen: the pool of tokens knows only what it lent itself.
struct UntrackedBalanceTest : testing::Test {
  Ticket ask(int min) { return after(leases.ask({.min = min, .client = kExec})); }
  void release(LeaseId id) { after(leases.release(id)); }
  template <typename Value>
  Value after(Value value) {
    settle();
    return value;
  }
  /// As the host does.
  void settle() {
    for (bool rests = false; !rests;) {
      Effects effects;
      wants_fifo =
          balance_untracked(&tokens, &leases.pool, fifo, leases.now, &effects, &leases.effects);
      rests = effects.empty();
      for (const Effect& effect : effects) carry_out(effect);
      leases.supplied = tokens.lent();
      leases.collect();
    }
  }
  void carry_out(const Effect& effect) {
    if (effect.kind == Effect::Kind::put) fifo += effect.count;
    if (effect.kind != Effect::Kind::lend_from_fifo) return;
    const int there = std::min(fifo, effect.count);
    fifo -= there;
    tokens.lend_failed(effect.count - there);
    leases.pool.supply(there, leases.now, &leases.effects);
  }

  int fifo = 3;
  Pool tokens{3};
  LeaseDesk leases{4, 100, 0};
  bool wants_fifo = false;
};

TEST_F(UntrackedBalanceTest, ALeaseTakesWhatLiesInTheFifoAndGivesItBackAtOnce) {
  const Ticket ticket = ask(2);
  ASSERT_TRUE(leases.granted(ticket));
  EXPECT_EQ(fifo, 1);
  EXPECT_EQ(tokens.lent(), 2);
  EXPECT_FALSE(wants_fifo);
  release(leases.lease(ticket));
  EXPECT_EQ(fifo, 3);
  EXPECT_EQ(tokens.lent(), 0);
}

TEST_F(UntrackedBalanceTest, TheFifoIsLookedAtWhileALeaseWaits) {
  fifo = 0;  // who has them is not known
  const Ticket ticket = ask(1);
  EXPECT_TRUE(leases.waits(ticket));
  EXPECT_TRUE(wants_fifo);
  fifo = 2;
  settle();
  EXPECT_TRUE(leases.granted(ticket));
  EXPECT_FALSE(wants_fifo);
  EXPECT_EQ(fifo, 1);
}

TEST_F(UntrackedBalanceTest, WhatALeaseGivesBackServesTheNextFromTheFifo) {
  const Ticket held = ask(3);
  const Ticket next = ask(1);
  EXPECT_TRUE(leases.waits(next));
  release(leases.lease(held));
  EXPECT_TRUE(leases.granted(next));
  EXPECT_EQ(fifo, 2);
  EXPECT_EQ(tokens.lent(), 1);
}

TEST_F(UntrackedBalanceTest, AWideLeaseGathersFromItsReservationOn) {
  fifo = 2;
  const Ticket wide = ask(3);
  EXPECT_EQ(fifo, 2) << "not yet";
  EXPECT_FALSE(wants_fifo);
  leases.pass(kReservationAfter);
  settle();
  EXPECT_EQ(fifo, 0);
  EXPECT_EQ(tokens.lent(), 2);
  EXPECT_TRUE(wants_fifo);
  fifo = 1;
  settle();
  EXPECT_TRUE(leases.granted(wide));
  EXPECT_EQ(fifo, 0);
}

}  // namespace
}  // namespace tokenpool::core
