#include "watch/limit_watch.h"

#include <gtest/gtest.h>

#include "core/lease_desk.h"

namespace tokenpool::watch {
namespace {

using core::ProcessId;
using std::chrono::seconds;

ProcessId process(pid_t pid) { return {pid, 100}; }

/// Two slots are free. A job of type link, process 10, is all that may run of it, and waited for.
class LimitWatchTest : public ::testing::Test {
 protected:
  LimitWatchTest() {
    desk.set_limit("link", 1);
    link = desk.take({.type = "link", .client = process(10), .owner = process(10)});
    desk.ask({.type = "link", .client = process(20), .owner = process(20)});
    set(1, 0, 'S');
    set(10, 1, 'S');
    set(11, 10, 'S');
    set(20, 1, 'S');
  }
  void set(pid_t pid, pid_t parent, char state) {
    proc::CensusRow& row = rows[pid];
    row.who = process(pid);
    row.parent = parent;
    row.state = state;
  }
  [[nodiscard]] BuildView view() const {
    BuildView view{.now = now, .leases = &desk.pool};
    view.pool = &tokens;
    view.exhausted = exhausted;
    return view;
  }
  /// Who is named, and who of it is halted, in so many looks, one a second.
  std::vector<std::pair<pid_t, pid_t>> look(int looks) {
    std::vector<std::pair<pid_t, pid_t>> named;
    for (int i = 0; i < looks; ++i) {
      now += seconds(1);
      proc::CensusSample census;
      census.interval = seconds(1);
      for (const auto& [pid, row] : rows) census.rows.push_back(row);
      for (const board::StuckRow& row : watch.look(view(), census, CensusTree(census.rows))) {
        EXPECT_STREQ(row.type.data(), "link");
        named.emplace_back(row.pid, row.halted);
      }
    }
    return named;
  }
  using Named = std::vector<std::pair<pid_t, pid_t>>;

  core::LeaseDesk desk{4};
  core::LeaseId link = 0;
  std::map<pid_t, proc::CensusRow> rows;
  core::Instant now{};
  core::Pool tokens{3};
  bool exhausted = false;
  LimitWatch watch{seconds(5)};
};

TEST_F(LimitWatchTest, WhoIsStoppedIsNamedSoonAndOnce) {
  set(11, 10, 'T');
  EXPECT_EQ(look(6), Named{});
  EXPECT_EQ(look(3), (Named{{10, 11}}));
  EXPECT_EQ(look(100), Named{});
  set(12, 10, 'T');
  EXPECT_EQ(look(10), (Named{{10, 12}}));
}

TEST_F(LimitWatchTest, WhoIsNamedSoonIsKnownBefore) {
  EXPECT_EQ(look(2), Named{});
  EXPECT_FALSE(watch.names_soon(11)) << "it just does nothing";
  set(11, 10, 'T');
  EXPECT_EQ(look(1), Named{});
  EXPECT_TRUE(watch.names_soon(11));
  EXPECT_FALSE(watch.names_soon(20));
  watch.forget();
  EXPECT_FALSE(watch.names_soon(11));
  EXPECT_EQ(look(8), (Named{{10, 11}}));
  EXPECT_TRUE(watch.names_soon(11)) << "it has been";
  set(11, 10, 'S');
  EXPECT_EQ(look(1), Named{});
  EXPECT_FALSE(watch.names_soon(11));
}

TEST_F(LimitWatchTest, WhoDoesNothingIsGivenAMinute) {
  EXPECT_EQ(look(60), Named{});
  EXPECT_EQ(look(3), (Named{{10, 0}}));
  EXPECT_EQ(look(100), Named{});
}

TEST_F(LimitWatchTest, WhatOthersDoDoesNotMatter) {
  rows[20].use = 1;
  set(11, 10, 'T');
  EXPECT_EQ(look(9), (Named{{10, 11}}));
}

TEST_F(LimitWatchTest, WhoComputesIsNotNamed) {
  rows[11].use = 0.5;
  EXPECT_EQ(look(100), Named{});
}

TEST_F(LimitWatchTest, AllOfTheTypeStandStill) {
  desk.set_limit("link", 2);
  desk.ask({.type = "link"});
  set(11, 10, 'T');
  rows[20].use = 1;
  EXPECT_EQ(look(100), Named{}) << "when this one ends, somebody gets its place";
  rows[20].use = 0;
  rows[20].state = 'T';
  EXPECT_EQ(look(9), (Named{{10, 11}, {20, 20}}));
}

TEST_F(LimitWatchTest, WhoWaitsForASlotIsNotStuck) {
  desk.take(3);
  set(11, 10, 'T');
  const core::Ticket below = desk.ask({.client = process(11)});
  EXPECT_EQ(look(100), Named{});
  desk.cancel(below);
  const core::Ticket job = desk.ask({.min = 2, .payer = {core::Payer::Kind::lease, {}, link}});
  EXPECT_EQ(look(100), Named{});
  desk.cancel(job);
  exhausted = true;
  EXPECT_EQ(look(100), Named{});
  exhausted = false;
  EXPECT_EQ(look(9), (Named{{10, 11}}));
}

TEST_F(LimitWatchTest, WhoWaitsForItselfIsStuck) {
  desk.ask({.type = "link", .client = process(11)});
  EXPECT_EQ(look(63), (Named{{10, 0}}));
}

TEST_F(LimitWatchTest, OfWhoComesFromElsewhereNobodyKnows) {
  rows.erase(10);
  EXPECT_EQ(look(100), Named{});
}

TEST_F(LimitWatchTest, WithoutAWaiterThereIsNothingToLookAt) {
  EXPECT_TRUE(LimitWatch::has_to_look(view()));
  desk.set_limit("link", 2);
  EXPECT_FALSE(LimitWatch::has_to_look(view()));
  set(11, 10, 'T');
  EXPECT_EQ(look(100), Named{});
}

}  // namespace
}  // namespace tokenpool::watch
