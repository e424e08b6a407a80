// The billing of a run with real processes. Waits for what it finds, and asserts no time.
#include "watch/billing_watch.h"

#include <array>
#include <thread>

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "board/mapped_board.h"
#include "proc/clock.h"
#include "proc/fork_bound.h"
#include "proc/process.h"

namespace tokenpool::watch {
namespace {

// A front, its command, and what that has started: `spinners` processes that compute.
class Build {
 public:
  explicit Build(int spinners) {
    std::array<int, 2> told{};
    EXPECT_EQ(::pipe(told.data()), 0);
    front_ = proc::fork_bound();
    if (front_ == 0) {
      ::prctl(PR_SET_CHILD_SUBREAPER, 1);
      const pid_t command = proc::fork_bound();
      if (command == 0) {
        for (int i = 0; i < spinners; ++i) {
          if (proc::fork_bound() != 0) continue;
          (void)!::nice(19);  // who waits for a CPU is billed as well as who has one
          for (volatile unsigned sum = 0;;) sum = sum + 1;
        }
        ::pause();
      }
      (void)!::write(told[1], &command, sizeof command);
      ::pause();
    }
    EXPECT_EQ(::read(told[0], &command_, sizeof command_), static_cast<ssize_t>(sizeof command_));
    for (const int fd : told) ::close(fd);
  }
  ~Build() {
    end();
    ::kill(front_, SIGKILL);
    ::waitpid(front_, nullptr, 0);
  }
  Build(const Build&) = delete;
  Build& operator=(const Build&) = delete;
  /// The command and all that it has started.
  void end() const { ::kill(command_, SIGKILL); }
  [[nodiscard]] pid_t front() const { return front_; }
  [[nodiscard]] pid_t command() const { return command_; }

 private:
  pid_t front_ = 0;
  pid_t command_ = 0;
};

class BillingWatchTest : public testing::Test {
 protected:
  BillingWatchContext context(const Build& build, bool tracked = true) {
    return {.pool = &pool,
            .leases = &leases,
            .holder_of = [](const core::Lease& lease) { return lease.client; },
            .out = [this] { return pool.issued() - pool.lent(); },
            .group = "",
            .front = build.front(),
            .tracked = tracked,
            .program = {},
            .watch = [this](core::ProcessId who) { watched.push_back(who); },
            .log = &log};
  }
  /// Steps when it is due until `done`.
  template <typename Done>
  static void step_until(BillingWatch* billing, Done done) {
    while (!done()) {
      std::this_thread::sleep_until(std::chrono::steady_clock::time_point(billing->due()));
      (void)billing->step(proc::now());
    }
  }

  core::Pool pool{3};
  core::LeasePool leases{4, 1, [](const core::Payer&) { return 0; }};
  board::MappedBoard board{board::map_board()};
  board::BoardLog log{board.get()};
  std::vector<core::ProcessId> watched;
};

TEST_F(BillingWatchTest, NamesWhoIgnoresThePoolAndReleasesWhoHasEnded) {
  const Build build(4);
  BillingWatch billing(context(build), proc::now());
  EXPECT_EQ(billing.withheld(), 0);
  step_until(&billing, [&] { return billing.withheld() > 0; });
  ASSERT_EQ(billing.accused(proc::now()).size(), 1U);
  // On a busy machine it is named at the very bound; what it uses is known better after a while.
  step_until(&billing, [&] { return billing.accused(proc::now()).at(0).millicores > 500; });
  const auto accused = billing.accused(proc::now());
  ASSERT_EQ(accused.size(), 1U);
  EXPECT_EQ(accused[0].pid, build.command());
  EXPECT_EQ(accused[0].command, proc::command_of(build.command()));
  EXPECT_GT(accused[0].millicores, 500);
  ASSERT_EQ(board->uncooperative_count, 1U);
  EXPECT_EQ(board->uncooperative[0].pid, build.command());
  EXPECT_EQ(board->uncooperative[0].until_ns, 0);

  build.end();
  step_until(&billing, [&] { return billing.withheld() == 0; });
  EXPECT_TRUE(billing.accused(proc::now()).empty());
  EXPECT_GT(board->uncooperative[0].until_ns, board->uncooperative[0].since_ns);
  EXPECT_GE(board->uncooperative[0].since_ns, board->begun_ns);
}

TEST_F(BillingWatchTest, TheEndOfTheAccusedIsEnoughToReleaseIt) {
  const Build build(4);
  BillingWatch billing(context(build), proc::now());
  step_until(&billing, [&] { return billing.withheld() > 0; });
  ASSERT_EQ(watched.size(), 1U);
  EXPECT_EQ(watched[0].pid, build.command());
  billing.process_ended({build.front(), watched[0].start}, proc::now());
  EXPECT_GT(billing.withheld(), 0) << "somebody else";
  billing.process_ended(watched[0], proc::now());
  EXPECT_EQ(billing.withheld(), 0);
  EXPECT_GT(board->uncooperative[0].until_ns, board->uncooperative[0].since_ns);
}

TEST_F(BillingWatchTest, ProcessesOfOurOwnProgramAreNobodysJob) {
  const Build build(4);
  BillingWatchContext ours = context(build);
  ours.program = proc::own_program();
  BillingWatch billing(std::move(ours), proc::now());
  for (int i = 0; i < 8; ++i) {
    step_until(&billing, [due = billing.due(), &billing] { return billing.due() != due; });
  }
  EXPECT_EQ(billing.withheld(), 0);
}

TEST_F(BillingWatchTest, WhereNobodyKnowsWhoHoldsAllThatIsOutIsAllowed) {
  const Build build(4);  // no more than the pool has slots, and none is in the FIFO
  BillingWatch billing(context(build, false), proc::now());
  for (int i = 0; i < 8; ++i) {
    step_until(&billing, [due = billing.due(), &billing] { return billing.due() != due; });
  }
  EXPECT_EQ(billing.withheld(), 0);
}

TEST_F(BillingWatchTest, TheEndOfTheCommandEndsTheAccusation) {
  const Build build(4);
  BillingWatch billing(context(build), proc::now());
  step_until(&billing, [&] { return billing.withheld() > 0; });
  billing.close(proc::now());
  EXPECT_EQ(billing.withheld(), 0);
  EXPECT_GT(board->uncooperative[0].until_ns, 0);
}

}  // namespace
}  // namespace tokenpool::watch
