#include "arbiter/restore_books.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "board/mapped_board.h"
#include "core/limits.h"
#include "proc/process.h"

namespace tokenpool::arbiter {
namespace {

constexpr core::RequestId kWrite = 70;  ///< of the giver
constexpr core::RequestId kRead = 71;   ///< of the reader that waits
constexpr core::ProcessId kDead{999'999, 1};

core::ProcessId living(pid_t pid) {
  const auto info = proc::read_process(pid);
  return info ? info->id : core::ProcessId{};
}

std::vector<core::ProcessId> sorted(std::vector<core::ProcessId> list) {
  std::sort(list.begin(), list.end());
  return list;
}

/// A build of which the arbiter dies after any step. What the clients really have is told apart
/// from what the books say.
class RestoreBooks : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(board, nullptr);
    fifo.choose_name(::testing::TempDir());
    ASSERT_TRUE(fifo.create());
  }
  void TearDown() override { fifo.remove(); }

  /// `issued` tokens of which each of `holders` has one, booked and published.
  void begin(int issued, const std::vector<core::ProcessId>& holders) {
    pool.emplace(issued);
    for (const auto who : {giver, reader, kDead}) pool->introduce(who, {});
    ASSERT_EQ(fifo.put(issued), issued);
    for (const auto who : holders) {
      pool->request({++ids, who, false}, {}, &effects);
      ASSERT_EQ(fifo.take(1), 1);
      ++has[who];
    }
    effects.clear();
    publish();
  }
  void publish() { log.publish(*pool, {.slots = pool->issued() + 1}, 0, 0, {}); }
  void waits(core::ProcessId who, core::RequestId id) {
    waiting.insert(id);
    pool->request({id, who, true}, {}, &effects);
  }
  void goes_on(core::RequestId id, core::ProcessId who, int tokens) {
    waiting.erase(id);
    has[who] += tokens;
  }

  void move(const core::Effect& effect) {
    const int count = effect.count;
    if (effect.kind == core::Effect::Kind::put) {
      EXPECT_EQ(fifo.put(count), count);
    } else if (effect.kind == core::Effect::Kind::drain) {
      EXPECT_EQ(fifo.take(count), count);
    }
  }

  /// The steps of an event, each done before the arbiter dies or not at all.
  using Steps = std::vector<std::function<void()>>;
  /// The steps that carry out what the pool has answered.
  void carry_out(Steps* steps) {
    using Kind = core::Effect::Kind;
    for (const core::Effect& effect : effects) {
      const bool from_fifo = effect.kind == Kind::grant_from_fifo;
      if (effect.kind == Kind::put || effect.kind == Kind::drain) {
        steps->emplace_back([this] { log.announce_move(*pool); });
        steps->emplace_back([this, effect] { move(effect); });
      } else if (from_fifo || effect.kind == Kind::grant_direct) {
        steps->emplace_back([this, effect, from_fifo] {
          log.announce_grant({.who = effect.who, .id = effect.request, .from_fifo = from_fifo});
        });
        if (from_fifo) steps->emplace_back([this] { (void)fifo.take(1); });
        steps->emplace_back([this, effect] { goes_on(effect.request, effect.who, 1); });
      }
    }
    effects.clear();
    steps->emplace_back([this] { publish(); });
  }

  Steps carried_out() {
    Steps steps;
    carry_out(&steps);
    return steps;
  }

  /// As far as `left` says, a new arbiter makes the books.
  core::Pool restored(bool again) {
    board::LeftBehind left = log.left_behind();
    core::Pool next(left.settings.slots - 1);
    core::Effects moves;
    const BookKeepers keepers{
        fifo,
        [this](auto id) { return waiting.contains(id); },
        [this](const auto& call) { return call.id == kWrite && writes_again; },
        watched,
        next,
        0};
    restore_books(keepers, &left, {}, &moves);
    if (again) return restored(false);  // it died before it carried anything out
    for (const core::Effect& effect : moves) move(effect);
    return next;
  }

  /// The books say what there is: every token is with those that have it, or in the FIFO.
  void expect_true_books(const core::Pool& next, const std::string& where) {
    SCOPED_TRACE(where);
    EXPECT_EQ(next.missing(), 0);
    EXPECT_EQ(next.drift(fifo.level()), 0);
    int out = 0;
    for (const auto who : {giver, reader}) {
      const auto* account = next.ledger().find(who);
      EXPECT_EQ(account == nullptr ? 0 : account->own, has[who]) << who.pid;
      out += has[who];
    }
    EXPECT_EQ(fifo.level() + out - next.owed(), next.issued());
  }

  /// `event` sets up a build and answers the steps of what happens then.
  void dies_anywhere(const std::function<Steps()>& event) {
    for (const bool again : {false, true}) {
      for (std::size_t done = 0;; ++done) {
        (void)fifo.take(core::kMaxSlots);
        has.clear();
        waiting.clear();
        const Steps steps = event();
        for (std::size_t i = 0; i < done; ++i) steps[i]();
        expect_true_books(restored(again), "after " + std::to_string(done) + " steps of " +
                                               std::to_string(steps.size()) +
                                               (again ? ", twice" : ""));
        if (done == steps.size()) break;
      }
    }
  }

  Steps gives() {
    Steps steps;
    waiting.insert(kWrite);
    steps.emplace_back([this] { log.announce_give({.who = giver, .id = kWrite}); });
    steps.emplace_back([this] { goes_on(kWrite, giver, -1); });
    pool->give(giver, 1, {}, &effects);
    carry_out(&steps);
    return steps;
  }

  board::MappedBoard board{board::map_board()};
  board::BoardLog log{board.get()};
  jobserver::Fifo fifo;
  proc::EventLoop loop;
  proc::Watchlist watched{loop, [](const proc::WatchedProcess&, int) {}};
  const core::ProcessId giver = living(::getpid());
  const core::ProcessId reader = living(::getppid());
  std::optional<core::Pool> pool;
  core::Effects effects;
  core::RequestId ids = 0;
  std::set<core::RequestId> waiting;   ///< calls that the kernel has no answer to
  bool writes_again = false;           ///< the giver, after a signal
  std::map<core::ProcessId, int> has;  ///< tokens, in truth
};

TEST_F(RestoreBooks, ATokenThatIsReturnedIsFreeOrStillHeld) {
  dies_anywhere([this] {
    begin(2, {giver});
    return gives();
  });
}

TEST_F(RestoreBooks, ATokenThatIsReturnedForAReaderIsWithOneOfThem) {
  dies_anywhere([this] {
    begin(1, {giver});
    waits(reader, kRead);
    return gives();
  });
}

TEST_F(RestoreBooks, AReturnThatASignalMetBeforeItsAnswerIsMadeAgainAndNotBooked) {
  begin(2, {giver});
  log.receipt()->words[0] = kWrite;  // seccomp_notif.id
  log.announce_give({.who = giver, .id = kWrite});
  writes_again = true;
  expect_true_books(restored(false), "interrupted");
  // Another return, for example, right after the first.
  log.confirm_give();
  has[giver] = 0;
  expect_true_books(restored(false), "answered");
}

TEST_F(RestoreBooks, AReturnThatWasNotAnsweredIsNotBooked) {
  begin(2, {giver});
  log.announce_give({.who = giver, .id = kWrite});
  log.revoke_give();
  expect_true_books(restored(false), "revoked");
}

TEST_F(RestoreBooks, AReaderHasATokenOfTheFifoOrWaitsForIt) {
  dies_anywhere([this] {
    begin(2, {giver});
    waits(reader, kRead);
    return carried_out();
  });
}

TEST_F(RestoreBooks, AReaderHasWhatADeadOneHadOrWaitsForIt) {
  dies_anywhere([this] {
    begin(1, {kDead});
    waits(reader, kRead);
    pool->ended(kDead, core::EndCause::killed, {}, std::nullopt, {}, &effects);
    return carried_out();
  });
}

TEST_F(RestoreBooks, MoreTokensForOneThatWaits) {
  dies_anywhere([this] {
    begin(1, {giver});
    waits(reader, kRead);
    pool->set_issued(4, {}, &effects);
    return carried_out();
  });
}

TEST_F(RestoreBooks, FewerTokens) {
  dies_anywhere([this] {
    begin(4, {giver});
    pool->set_issued(2, {}, &effects);
    return carried_out();
  });
}

TEST_F(RestoreBooks, WhoMayHaveTakenWhatNobodySawIsSuspectedStill) {
  begin(3, {});
  for (int i = 0; i < 2; ++i) ASSERT_EQ(fifo.take(1), 1);
  pool->unseen(-1, {{giver, reader, kDead}}, true, {}, &effects);
  pool->unseen(-1, {{giver, kDead}}, true, {}, &effects);
  publish();
  for (const bool again : {false, true}) {
    const core::Pool next = restored(again);
    EXPECT_EQ(fifo.level(), 1);
    EXPECT_EQ(next.drift(fifo.level()), 0);
    const std::vector<core::UnseenTake> expected{{1, sorted({giver, reader})}, {1, {giver}}};
    EXPECT_EQ(next.ledger().unseen(), expected);
  }
}

TEST_F(RestoreBooks, WhatOnlyTheDeadCanHaveTakenIsFree) {
  begin(2, {});
  ASSERT_EQ(fifo.take(1), 1);
  const core::ProcessId other{999'998, 1};
  pool->introduce(other, {});
  pool->unseen(-1, {{kDead, other}}, true, {}, &effects);
  publish();
  const core::Pool next = restored(false);
  EXPECT_EQ(fifo.level(), 2);
  EXPECT_EQ(next.drift(fifo.level()), 0);
  EXPECT_EQ(next.free(), 2);
}

TEST_F(RestoreBooks, WhatNobodySawIsNotPutBack) {
  begin(3, {giver});
  ASSERT_EQ(fifo.take(1), 1);
  core::Pool next = restored(false);
  EXPECT_EQ(fifo.level(), 1);
  EXPECT_EQ(next.drift(fifo.level()), -1);
}

}  // namespace
}  // namespace tokenpool::arbiter
