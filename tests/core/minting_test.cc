// Tokens beside those that were issued, in place of others that will not come back; core/pool.h.
#include <gtest/gtest.h>

#include "core/pool_desk.h"

namespace tokenpool::core {
namespace {

class MintingTest : public testing::Test {
 protected:
  MintingTest() {
    desk.introduce(stuck);
    desk.introduce(other);
  }
  void take_all() {
    ASSERT_TRUE(desk.poll(stuck));
    ASSERT_TRUE(desk.poll(stuck));
    ASSERT_TRUE(desk.poll(other));
  }

  const ProcessId stuck = process(1);
  const ProcessId other = process(2);
  PoolDesk desk{3};
};

TEST_F(MintingTest, AMintedTokenServesWhoWaits) {
  take_all();
  const RequestId read = desk.read(other);
  EXPECT_FALSE(desk.granted(read));
  desk.mint(1);
  EXPECT_TRUE(desk.granted(read));
  EXPECT_EQ(desk.pool.minted(), 1);
  EXPECT_EQ(desk.pool.counters().minted, 1U);
  EXPECT_EQ(desk.pool.issued(), 3);
}

TEST_F(MintingTest, AMintedTokenLiesInTheFifoForThoseWhoPoll) {
  take_all();
  desk.mint(1);
  EXPECT_EQ(desk.fifo, 1);
  EXPECT_TRUE(desk.poll(other));
}

TEST_F(MintingTest, ItStaysAsLongAsTheStuckOnesAreStuck) {
  take_all();
  desk.mint(1);
  ASSERT_TRUE(desk.poll(other));
  desk.give(other);
  EXPECT_EQ(desk.pool.minted(), 1) << "that was the minted one: the one before is still out";
  EXPECT_EQ(desk.fifo, 1);
}

TEST_F(MintingTest, WhatComesBackAfterAllReplacesIt) {
  take_all();
  desk.mint(1);
  desk.give(stuck);
  EXPECT_EQ(desk.pool.minted(), 0);
  EXPECT_EQ(desk.fifo, 1) << "as many as were issued";
  desk.give(stuck);
  EXPECT_EQ(desk.fifo, 2);
}

TEST_F(MintingTest, WhoIsStuckAndDiesReplacesIt) {
  take_all();
  desk.mint(2);
  desk.end(stuck, EndCause::killed);
  EXPECT_EQ(desk.pool.minted(), 0);
  EXPECT_EQ(desk.fifo, 2);
}

TEST_F(MintingTest, AMintedTokenThatIsOutIsSwallowedWhenItComesBack) {
  take_all();
  desk.mint(1);
  const ProcessId third = process(3);
  desk.introduce(third);
  ASSERT_TRUE(desk.poll(third));
  desk.give(other);
  EXPECT_EQ(desk.pool.minted(), 0);
  EXPECT_EQ(desk.fifo, 0) << "the one that came back stands for the minted one";
  desk.give(third);
  EXPECT_EQ(desk.fifo, 1);
}

TEST_F(MintingTest, LeasesAreStuckToo) {
  desk.lend(3);
  desk.mint(1);
  EXPECT_EQ(desk.fifo, 1);
  desk.repay(1);
  EXPECT_EQ(desk.pool.minted(), 0);
  EXPECT_EQ(desk.fifo, 1);
}

TEST_F(MintingTest, WhatNobodySawIsStuckToo) {
  desk.unseen(-3, {stuck, other});
  desk.mint(1);
  desk.unseen(1, {stuck, other});
  EXPECT_EQ(desk.pool.minted(), 0);
  EXPECT_EQ(desk.fifo, 1);
}

TEST_F(MintingTest, ASecondOneStandsForWhatIsHeldThen) {
  take_all();
  desk.mint(1);
  ASSERT_TRUE(desk.poll(other));
  desk.mint(1);
  desk.give(other);
  EXPECT_EQ(desk.pool.minted(), 1) << "the first minted one was stuck as well";
  desk.end(stuck, EndCause::killed);
  EXPECT_EQ(desk.pool.minted(), 0);
}

TEST_F(MintingTest, NobodyIsStuckWithMoreThanIsHeld) {
  ASSERT_TRUE(desk.poll(stuck));
  desk.mint(2);
  EXPECT_EQ(desk.pool.minted(), 1);
  EXPECT_EQ(desk.fifo, 3);
}

TEST_F(MintingTest, WhereNobodyIsTrackedItIsTakenOutByHandOnly) {
  desk.mint(2, false);
  EXPECT_EQ(desk.pool.minted(), 2);
  EXPECT_EQ(desk.fifo, 5);
  desk.lend(1);
  desk.repay(1);
  EXPECT_EQ(desk.pool.minted(), 2);
  desk.unmint(2);
  EXPECT_EQ(desk.pool.minted(), 0);
  EXPECT_EQ(desk.fifo, 3);
}

TEST_F(MintingTest, TakenOutByHand) {
  take_all();
  desk.mint(2);
  desk.unmint(1);
  EXPECT_EQ(desk.fifo, 1);
  ASSERT_TRUE(desk.poll(other));
  desk.unmint(1);
  EXPECT_EQ(desk.pool.owed(), 1);
  desk.give(other);
  EXPECT_EQ(desk.fifo, 0);
}

TEST_F(MintingTest, TheEndLeavesWhatWasIssued) {
  take_all();
  desk.mint(2);
  desk.end_all();
  EXPECT_EQ(desk.pool.minted(), 0);
  EXPECT_EQ(desk.fifo, 3);
  EXPECT_EQ(desk.pool.counters().recovered, 3U);
}

TEST_F(MintingTest, ANewArbiterGoesOnWithIt) {
  take_all();
  desk.mint(1);
  std::vector<Account> accounts;
  for (const auto& [who, account] : desk.pool.ledger().accounts()) accounts.push_back(account);
  Pool next(3);
  next.restore(accounts, {}, desk.pool.owed(), 0, desk.pool.minted(), desk.pool.counters());
  desk.pool = std::move(next);
  EXPECT_EQ(desk.pool.drift(desk.fifo), 0);
  desk.give(stuck);
  EXPECT_EQ(desk.pool.minted(), 0);
}

// No tokens at all but a minted one, which lies in the FIFO for those who poll. It goes, and the
// token in its place, an implicit slot, is on offer until it is served.
TEST(Minting, AnOfferGoesOnWithTheTokenInThePlaceOfTheMintedOne) {
  PoolDesk desk(1);
  const ProcessId holder = process(1);
  const ProcessId lender = process(2);
  const ProcessId first = process(3);
  const ProcessId second = process(4);
  for (const auto who : {holder, lender, first, second}) desk.introduce(who);
  desk.unseen(-1, {holder});
  const RequestId served = desk.read(first);
  desk.give(lender);
  ASSERT_TRUE(desk.granted(served));
  desk.give(first);
  desk.set_issued(0);
  ASSERT_EQ(desk.fifo, 0);
  const RequestId next = desk.read(first);
  const RequestId last = desk.read(second);
  desk.mint(1);
  ASSERT_EQ(desk.fifo, 1) << "on offer";
  desk.unseen(+1, {holder});
  EXPECT_EQ(desk.pool.minted(), 0);
  EXPECT_EQ(desk.fifo, 1);
  desk.pass(std::chrono::seconds(1));
  EXPECT_TRUE(desk.granted(next));
  EXPECT_FALSE(desk.granted(last));
  EXPECT_EQ(desk.fifo, 0);
}

}  // namespace
}  // namespace tokenpool::core
