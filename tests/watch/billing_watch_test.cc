// The billing of a run with real processes. Waits for what it finds, and asserts no time.
#include "watch/billing_watch.h"

#include <array>
#include <thread>

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

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
  /// Looks when it is due until `done`.
  template <typename Done>
  void look_until(const Build& build, BillingWatch* billing, Done done) {
    while (!done()) {
      std::this_thread::sleep_until(std::chrono::steady_clock::time_point(billing->due()));
      look(build, billing);
    }
  }
  void look(const Build& build, BillingWatch* billing) {
    const core::Instant now = proc::now();
    walks.begin(build.front(), now);
    BuildView view{.now = now, .leases = &leases, .root = build.front(), .walks = &walks};
    view.pool = &pool;
    view.tracked = tracked;
    view.out = pool.issued() - pool.lent();
    billing->look(view);
  }
  /// Sees the same build eight times.
  void look_often(const Build& build, BillingWatch* billing) {
    for (int i = 0; i < 8; ++i) {
      look_until(build, billing, [due = billing->due(), billing] { return billing->due() != due; });
    }
  }

  bool tracked = true;
  core::Pool pool{3};
  core::LeasePool leases{4, 1, [](const core::Payer&) { return 0; }};
  BuildWalks walks{::getpid()};
};

TEST_F(BillingWatchTest, NamesWhoIgnoresThePoolAndReleasesWhoHasEnded) {
  const Build build(4);
  BillingWatch billing("", {}, proc::now());
  EXPECT_EQ(billing.withheld(), 0);
  look_until(build, &billing, [&] { return billing.withheld() > 0; });
  ASSERT_EQ(billing.accused().size(), 1U);
  // On a busy machine it is named at the very bound; what it uses is known better after a while.
  look_until(build, &billing, [&] { return billing.accused().at(0).cores > 0.5; });
  EXPECT_EQ(billing.accused().at(0).who, proc::read_process(build.command())->id);

  build.end();
  look_until(build, &billing, [&] { return billing.withheld() == 0; });
  EXPECT_TRUE(billing.accused().empty());
}

TEST_F(BillingWatchTest, TheEndOfTheAccusedIsEnoughToReleaseIt) {
  const Build build(4);
  BillingWatch billing("", {}, proc::now());
  look_until(build, &billing, [&] { return billing.withheld() > 0; });
  ASSERT_EQ(billing.accused().size(), 1U);
  const core::ProcessId command = billing.accused().at(0).who;
  EXPECT_EQ(command.pid, build.command());
  EXPECT_FALSE(billing.process_ended({build.front(), command.start}));
  EXPECT_GT(billing.withheld(), 0) << "somebody else";
  EXPECT_TRUE(billing.process_ended(command));
  EXPECT_EQ(billing.withheld(), 0);
}

TEST_F(BillingWatchTest, ProcessesOfOurOwnProgramAreNobodysJob) {
  const Build build(4);
  BillingWatch billing("", proc::own_program(), proc::now());
  look_often(build, &billing);
  EXPECT_EQ(billing.withheld(), 0);
}

TEST_F(BillingWatchTest, WhereNobodyKnowsWhoHoldsAllThatIsOutIsAllowed) {
  const Build build(4);  // no more than the pool has slots, and none is in the FIFO
  tracked = false;
  BillingWatch billing("", {}, proc::now());
  look_often(build, &billing);
  EXPECT_EQ(billing.withheld(), 0);
}

}  // namespace
}  // namespace tokenpool::watch
