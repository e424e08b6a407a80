#include "watch/build_view.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/lease_desk.h"
#include "proc/fork_bound.h"

namespace tokenpool::watch {
namespace {

using core::ProcessId;
using std::chrono::seconds;

ProcessId process(pid_t pid) { return {pid, 100}; }

TEST(BuildWalksTest, ATickHasOneWalk) {
  BuildWalks walks;
  walks.begin(::getpid(), seconds(1));
  const proc::CensusSample* first = &walks.walk();
  EXPECT_EQ(first->at, seconds(1));
  EXPECT_EQ(first->rows.front().who.pid, ::getpid());
  const auto cost = first->cost;
  EXPECT_EQ(&walks.walk(), first);
  EXPECT_EQ(walks.walk().cost, cost);
  walks.begin(::getpid(), seconds(2));
  EXPECT_EQ(walks.walk().at, seconds(2));
}

TEST(BuildWalksTest, AnotherRootIsAnotherBuild) {
  const pid_t child = proc::fork_bound();
  if (child == 0) ::pause();
  BuildWalks walks;
  walks.begin(::getpid(), seconds(1));
  EXPECT_GE(walks.walk().rows.size(), 2U);
  walks.begin(child, seconds(2));
  ASSERT_EQ(walks.walk().rows.size(), 1U);
  EXPECT_EQ(walks.walk().rows.front().who.pid, child);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

TEST(BuildWalksTest, WhoHasNotTheMarkIsOfNoBuildThatWasLeft) {
  BuildWalks walks(0, 0x7fff1234);
  walks.begin(::getpid(), seconds(1));
  EXPECT_TRUE(walks.walk().rows.empty());
}

class BuildViewTest : public testing::Test {
 protected:
  [[nodiscard]] BuildView view() const {
    return view_of(desk.pool, seconds(1), [](core::SessionId session) {
      return session == 7 ? std::optional(process(70)) : std::nullopt;
    });
  }
  core::LeaseDesk desk{4};
};

TEST_F(BuildViewTest, WhoAnswersForALease) {
  core::Lease lease;
  lease.client = process(1);
  EXPECT_EQ(view().holder_of(lease), process(1));
  lease.session = 7;
  EXPECT_EQ(view().holder_of(lease), process(1)) << "nobody of that session has or wants anything";
  desk.ask({.session = 7});
  EXPECT_EQ(view().holder_of(lease), process(70));
  EXPECT_EQ(view().asker_of(7, process(1)), process(70));
  EXPECT_EQ(view().asker_of(8, process(1)), process(1));
  lease.owner = process(2);
  EXPECT_EQ(view().holder_of(lease), process(2));
}

TEST_F(BuildViewTest, WhoMayWaitForAToken) {
  proc::CensusRow row;
  row.who = process(3);
  BuildView view = this->view();
  view.exhausted = true;
  EXPECT_FALSE(view.may_wait({row})) << "there are no tokens";
  core::Pool tokens(2);
  view.pool = &tokens;
  EXPECT_TRUE(view.may_wait({row})) << "nobody knows";
  view.tracked = true;
  EXPECT_FALSE(view.may_wait({row}));
  tokens.introduce(row.who, {}, true);
  EXPECT_TRUE(view.may_wait({row}));
  view.exhausted = false;
  EXPECT_FALSE(view.may_wait({row}));
}

}  // namespace
}  // namespace tokenpool::watch
