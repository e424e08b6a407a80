#include "board/board_log.h"

#include <algorithm>
#include <cstdio>
#include <vector>

#include <gtest/gtest.h>

#include "board/limits.h"
#include "board/mapped_board.h"

namespace tokenpool::board {
namespace {

constexpr core::ProcessId kMake{10, 100};
constexpr core::ProcessId kNinja{11, 110};

class BoardLogTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(board, nullptr); }
  void take(core::ProcessId who, core::RequestId id) {
    core::Effects effects;
    pool.introduce(who, {});
    pool.request({id, who, false}, core::Instant{}, &effects);
    ASSERT_EQ(effects.front().kind, core::Effect::Kind::grant_from_fifo);
  }

  MappedBoard board{map_board()};
  BoardLog log{board.get()};
  core::Pool pool{3};
};

TEST_F(BoardLogTest, OnlyWhatCameBackOrMovedToJobsOfTheDeadIsARecovery) {
  core::Effect handed_over;
  handed_over.who = kNinja;
  handed_over.cause = core::EndCause::succeeded;
  handed_over.end = {.held = 1, .moved_to = {}, .passed_to = kMake};
  log.add_recovery(handed_over, 12);
  core::Effect lent;
  lent.end = {.withdraw = 1, .moved_to = {}, .passed_to = {}};
  log.add_recovery(lent, 12);
  EXPECT_EQ(board->recovery_count, 0U);
  core::Effect moved;
  moved.end = {.held = 2, .moved_to = {kMake, kNinja}, .passed_to = {}};
  log.add_recovery(moved, 12);
  core::Effect freed;
  freed.end = {.held = 1, .freed = 1, .moved_to = {}, .passed_to = {}};
  log.add_recovery(freed, 12);
  ASSERT_EQ(board->recovery_count, 2U);
  EXPECT_EQ(board->recoveries[0].moved, 2);
  EXPECT_EQ(board->recoveries[1].recovered, 1);
}

TEST_F(BoardLogTest, WhoIsStuckHasOneRow) {
  const auto add = [this](std::int32_t pid, int held, std::int32_t halted, const char* type) {
    StuckRow row;
    row.pid = pid;
    row.held = held;
    row.halted = halted;
    std::snprintf(row.type.data(), row.type.size(), "%s", type);
    log.add_stuck(row);
  };
  add(10, 1, 0, "");
  add(0, 2, 0, "");
  add(10, 3, 0, "");
  add(10, 2, 0, "");
  ASSERT_EQ(board->stuck_count.load(), 2U);
  EXPECT_EQ(board->stuck[0].pid, 10);
  EXPECT_EQ(board->stuck[0].held, 3);
  add(10, 3, 11, "");
  add(10, 1, 0, "link");
  EXPECT_EQ(board->stuck_count.load(), 4U) << "another is halted, and something else is kept";
  add(0, 0, 11, "");
  EXPECT_EQ(board->stuck_count.load(), 4U) << "that one is known";
  for (int pid = 100; pid < 300; ++pid) add(pid, 1, 0, "");
  EXPECT_EQ(board->stuck_count.load(), kMaxStuck);
}

TEST_F(BoardLogTest, WhatIsPublishedIsWhatTheNextArbiterFinds) {
  take(kMake, 1);
  take(kMake, 2);
  take(kNinja, 3);
  log.publish(pool, {}, 0, 0, {});
  const auto left = log.left_behind();
  ASSERT_EQ(left.accounts.size(), 2U);
  core::Pool next(3);
  next.restore(left.accounts, {}, left.owed, 0, left.minted, left.counters);
  EXPECT_EQ(next.free(), 0);
  EXPECT_EQ(next.missing(), 0);
  EXPECT_EQ(next.ledger().find(kMake)->own, 2);
  EXPECT_EQ(next.ledger().find(kNinja)->own, 1);
  EXPECT_EQ(next.counters(), pool.counters());
}

TEST_F(BoardLogTest, WhoMayHaveTakenWhatNobodySawIsKept) {
  const core::ProcessId shell{50, 1};
  const core::ProcessId helper{51, 1};
  core::Effects effects;
  for (const auto who : {shell, helper}) pool.introduce(who, {});
  pool.unseen(-1, {{shell, helper}}, true, {}, &effects);
  pool.unseen(-1, {{shell, kMake}}, false, {}, &effects);
  const std::vector<UnseenCaller> callers{
      {.who = helper,
       .call = UnseenCaller::Call::give,
       .succeeded = true,
       .since = core::Instant(5)},
      {.who = kMake, .call = UnseenCaller::Call::read, .thread = 77}};
  log.publish(pool, {}, 0, 0, callers);
  const auto left = log.left_behind();
  EXPECT_EQ(left.unseen, 2);
  EXPECT_EQ(left.takes, pool.ledger().unseen());
  EXPECT_EQ(left.callers, callers);
  const auto& accounts = left.accounts;
  EXPECT_TRUE(std::any_of(accounts.begin(), accounts.end(),
                          [&](const auto& account) { return account.who == helper; }));
}

TEST_F(BoardLogTest, WhoeverHasNoRowIsUnknownToTheNextArbiter) {
  core::Effects effects;
  std::vector<core::ProcessId> crowd;
  for (int pid = 1000; crowd.size() <= kBoardSuspects; ++pid) {
    crowd.push_back({pid, 1});
    pool.introduce(crowd.back(), {});
  }
  pool.unseen(-1, crowd, true, {}, &effects);
  const std::vector<UnseenCaller> callers(kBoardCallers + 1);
  log.publish(pool, {}, 0, 0, callers);
  const auto left = log.left_behind();
  EXPECT_EQ(left.unseen, 1) << "it is known that it is out";
  EXPECT_TRUE(left.takes.empty());
  EXPECT_EQ(left.callers.size(), kBoardCallers);
}

TEST_F(BoardLogTest, WhatIsOnItsWayBecauseTheSlotsChangeIsAnnounced) {
  const Settings four{.slots = 4};
  take(kMake, 1);
  log.publish(pool, four, 0, 0, {});
  EXPECT_EQ(log.left_behind().moving, 0);
  core::Effects effects;
  pool.set_issued(8, core::Instant{}, &effects);
  log.announce_move(pool);
  EXPECT_EQ(log.left_behind().moving, -5) << "five into the FIFO";
  EXPECT_EQ(log.left_behind().settings, four);
  pool.set_issued(2, core::Instant{}, &effects);
  log.announce_move(pool);
  EXPECT_EQ(log.left_behind().moving, 1) << "one out of it";
  log.publish(pool, {.slots = 3}, 0, 0, {});
  EXPECT_EQ(log.left_behind().moving, 0);
}

TEST_F(BoardLogTest, APageThatWasNotFinishedIsNotTheOneThatIsRead) {
  take(kMake, 1);
  log.publish(pool, {}, 0, 0, {});
  // The writer dies in the middle of the other page.
  AccountPage& torn = board->pages[1 - board->current.load()];
  torn.count = 77;
  torn.owed = 5;
  const auto left = log.left_behind();
  EXPECT_EQ(left.accounts.size(), 1U);
  EXPECT_EQ(left.owed, 0);
}

TEST_F(BoardLogTest, WhatIsAnnouncedIsKnownUntilItIsPublished) {
  log.publish(pool, {}, 0, 0, {});
  EXPECT_FALSE(log.left_behind().given);
  log.announce_give({.who = kMake, .id = 42});
  log.announce_grant({.who = kNinja, .id = 43, .from_fifo = true});
  log.announce_grant({.who = kMake, .id = 44});
  log.revoke_grant();
  const auto left = log.left_behind();
  ASSERT_TRUE(left.given);
  EXPECT_EQ(left.given->who, kMake);
  EXPECT_EQ(left.given->id, 42U);
  ASSERT_EQ(left.grants.size(), 1U);
  EXPECT_EQ(left.grants[0].who, kNinja);
  EXPECT_EQ(left.grants[0].id, 43U);
  EXPECT_TRUE(left.grants[0].from_fifo);
  log.publish(pool, {}, 0, 0, {});
  EXPECT_FALSE(log.left_behind().given);
  EXPECT_TRUE(log.left_behind().grants.empty());
}

TEST_F(BoardLogTest, TheCallThatWasReceivedLastIsKept) {
  EXPECT_FALSE(log.left_behind().received);
  log.receipt()->words[0] = 42;  // seccomp_notif.id
  ASSERT_TRUE(log.left_behind().received);
  EXPECT_EQ(log.left_behind().received->id, 42U);
}

TEST_F(BoardLogTest, WaitingReadsAreKeptInTheirOrder) {
  const auto call_of = [](core::RequestId id) {
    jobserver::Notification call;
    call.id = id;
    return call;
  };
  log.keep_waiting({{5, kMake, true}, {3, kNinja, true}}, call_of);
  auto left = log.left_behind();
  ASSERT_EQ(left.waiting.size(), 2U);
  EXPECT_EQ(left.waiting[0].id, 5U);
  EXPECT_EQ(left.waiting[1].id, 3U);
  log.keep_waiting({}, call_of);
  EXPECT_TRUE(log.left_behind().waiting.empty());
}

TEST_F(BoardLogTest, RefusalsOfOneProcessAreOneLine) {
  log.add_refusal(kMake, 3, "make all");
  log.add_refusal(kMake, 4, "make all");
  log.add_refusal(kNinja, 1, std::string(500, 'n'));
  ASSERT_EQ(board->refusal_count, 2U);
  EXPECT_EQ(board->refusals[0].count, 7);
  EXPECT_STREQ(board->refusals[0].command.data(), "make all");
  EXPECT_EQ(std::string(board->refusals[1].command.data()).size(), kBoardCommand - 1);
}

TEST_F(BoardLogTest, MoreRecoveriesThanFitAreStillCounted) {
  core::Effect effect;
  effect.kind = core::Effect::Kind::recovered;
  effect.who = kMake;
  effect.end.held = 1;
  effect.end.freed = 1;
  log.name_dead(kMake, "make");
  for (std::size_t i = 0; i < kMaxRecoveries + 5; ++i) log.add_recovery(effect, 12);
  EXPECT_EQ(board->recovery_count, kMaxRecoveries + 5);
  EXPECT_STREQ(board->recoveries[0].command.data(), "make");
  EXPECT_EQ(board->recoveries[kMaxRecoveries - 1].after_us, 12);
}

TEST_F(BoardLogTest, TheLastFiguresSayWhatIsHeldAndThatNothingIsMissing) {
  take(kMake, 1);
  log.close(pool, 2, false, true);
  EXPECT_EQ(board->still_held, 1);
  EXPECT_EQ(board->missing, 0);
  log.close(pool, 3, true, true);
  EXPECT_EQ(board->still_held, 0);
  EXPECT_EQ(board->missing, 0);
  log.close(pool, 1, true, true);
  EXPECT_EQ(board->missing, 2) << "what nobody accounts for is said";
}

}  // namespace
}  // namespace tokenpool::board
