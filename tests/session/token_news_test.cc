#include "session/token_news.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/pool_desk.h"

namespace tokenpool::session {
namespace {

using core::EndCause;
using core::process;
using core::ProcessId;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

const ProcessId kMake = process(10);
const ProcessId kNinja = process(20);
const ProcessId kJob = process(11);
const ProcessId kShell = process(30);
const ProcessId kOtherShell = process(31);

struct Watcher {
  core::PoolDesk desk{3};
  TokenNews news;
  int asked = 0;

  Watcher() {
    desk.introduce(kMake);
    desk.introduce(kNinja);
    desk.introduce(kJob, {kMake});
    desk.introduce(kShell);
    desk.introduce(kOtherShell);
    (void)look();
  }
  std::vector<std::string> look() {
    std::vector<std::string> told;
    news.look(
        desk.pool,
        [this](ProcessId who) {
          ++asked;
          return "p" + std::to_string(who.pid);
        },
        [&](const TokenEvent& event) {
          told.push_back(std::string(event.kind) + " " + std::to_string(event.tokens) + " " +
                         event.command);
        });
    return told;
  }
};

TEST(TokenNews, TakenAndReturned) {
  Watcher watcher;
  watcher.desk.read(kMake);
  EXPECT_THAT(watcher.look(), ElementsAre("taken 1 p10"));
  watcher.desk.read(kMake);
  watcher.desk.read(kNinja);
  EXPECT_THAT(watcher.look(), UnorderedElementsAre("taken 1 p10", "taken 1 p20"));
  EXPECT_EQ(watcher.asked, 2) << "a command is looked up once";
  watcher.desk.give(kMake, 2);
  EXPECT_THAT(watcher.look(), ElementsAre("returned 2 p10"));
  EXPECT_THAT(watcher.look(), IsEmpty());
}

TEST(TokenNews, WhatIsThereAtFirstIsNoNews) {
  Watcher watcher;
  watcher.desk.read(kMake);
  watcher.news.forget();
  EXPECT_THAT(watcher.look(), IsEmpty());
  watcher.desk.give(kMake);
  EXPECT_THAT(watcher.look(), ElementsAre("returned 1 p10"));
}

TEST(TokenNews, RecoveredFromOneThatWasKilled) {
  Watcher watcher;
  watcher.desk.read(kMake);
  watcher.desk.read(kMake);
  (void)watcher.look();
  watcher.desk.end(kMake, EndCause::killed);
  EXPECT_THAT(watcher.look(), ElementsAre("recovered 2 p10"));
}

TEST(TokenNews, PassedToTheJobsOfOneThatWasKilled) {
  Watcher watcher;
  watcher.desk.read(kMake);
  watcher.desk.read(kMake);
  (void)watcher.look();
  watcher.desk.end(kMake, EndCause::killed, {kJob});
  EXPECT_THAT(watcher.look(), ElementsAre("recovered 1 p10", "passed 1 p10", "taken 1 p11"));
}

TEST(TokenNews, TakenByOneOfSeveral) {
  Watcher watcher;
  watcher.desk.unseen(-1, {kShell, kOtherShell});
  EXPECT_THAT(watcher.look(), ElementsAre("taken 1 "));
  EXPECT_EQ(watcher.asked, 0);
  watcher.desk.unseen(1, {kShell, kOtherShell});
  EXPECT_THAT(watcher.look(), ElementsAre("returned 1 "));
}

}  // namespace
}  // namespace tokenpool::session
