// Freezing with real processes. Waits for states, and asserts no time.
#include "arbiter/frozen_jobs.h"

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
#include "watch/enforcement_watch.h"

namespace tokenpool::arbiter {
namespace {

using core::ProcessId;
using Jobs = std::array<pid_t, 3>;

// A front, its command, which is a make, and three jobs of it.
class Build {
 public:
  Build() {
    std::array<int, 2> told{};
    EXPECT_EQ(::pipe(told.data()), 0);
    front_ = proc::fork_bound();
    if (front_ == 0) {
      ::prctl(PR_SET_CHILD_SUBREAPER, 1);
      if (proc::fork_bound() == 0) be_make(told[1]);
      ::pause();
    }
    EXPECT_EQ(::read(told[0], jobs_.data(), sizeof jobs_), static_cast<ssize_t>(sizeof jobs_));
    for (const int fd : told) ::close(fd);
  }
  ~Build() {
    for (const pid_t job : jobs_) ::kill(job, SIGKILL);
    ::kill(front_, SIGKILL);
    ::waitpid(front_, nullptr, 0);
  }
  Build(const Build&) = delete;
  Build& operator=(const Build&) = delete;
  [[nodiscard]] pid_t front() const { return front_; }
  [[nodiscard]] ProcessId job(std::size_t index) const {
    return proc::read_process(jobs_[index])->id;
  }
  /// T: it stands still, r: it runs, or has to.
  [[nodiscard]] std::string states() const {
    std::string text;
    for (const pid_t job : jobs_) text += proc::read_process(job)->state == 'T' ? 'T' : 'r';
    return text;
  }
  void wait_for(const std::string& wanted) const {
    while (states() != wanted) std::this_thread::yield();
  }

 private:
  static void be_make(int told) {
    ::prctl(PR_SET_NAME, "make");
    Jobs jobs{};
    std::array<int, 2> up{};
    (void)!::pipe(up.data());
    for (pid_t& job : jobs) {
      job = proc::fork_bound();
      if (job == 0) be_job(up[1]);
      // A sanitizer may block signals in the child for the first moment.
      char byte = 0;
      (void)!::read(up[0], &byte, 1);
    }
    (void)!::write(told, jobs.data(), sizeof jobs);
    for (;;) ::pause();
  }

  static void be_job(int up) {
    ::prctl(PR_SET_NAME, "cc1");
    (void)!::write(up, "x", 1);
    for (;;) ::pause();
  }

  pid_t front_ = 0;
  Jobs jobs_{};
};

/// Eyes and hands of `--enforce` for a build that uses three slots.
class Enforcer {
 public:
  Enforcer(const Build& build, board::Board* board) : build_(build), board_(*board) {}

  void step(int allowed) {
    const core::Instant now = proc::now();
    walks_.begin(build_.front(), now);
    watch::BuildView view{.now = now, .leases = &leases_, .root = build_.front(), .walks = &walks_};
    view.pool = &pool_;
    view.in_use = 3;
    view.allowed = allowed;
    view.may_freeze = !board_.freezes_no_more;
    for (const auto& job : hands_.carry_out(eyes_.look(view), now)) eyes_.could_not(job, now);
    hands_.count(eyes_.frozen(), now);
  }
  /// Steps when it is due until the states are these.
  void step_until(const std::string& states, int allowed = 1) {
    while (build_.states() != states) {
      std::this_thread::sleep_until(std::chrono::steady_clock::time_point(eyes_.due()));
      step(allowed);
    }
  }
  [[nodiscard]] int frozen() const { return eyes_.frozen(); }

 private:
  const Build& build_;
  board::Board& board_;
  core::Pool pool_{2};
  core::LeasePool leases_{3, 1, [](const core::Payer&) { return 0; }};
  watch::BuildWalks walks_{::getpid()};
  watch::EnforcementWatch eyes_{proc::now()};
  FrozenJobs hands_{&board_, proc::now()};
};

class FrozenJobsTest : public testing::Test {
 protected:
  [[nodiscard]] int listed() const {
    int count = 0;
    for (const board::FrozenRow& row : board->frozen) count += row.pid != 0 ? 1 : 0;
    return count;
  }

  Build build;
  board::MappedBoard board{board::map_board()};
};

TEST_F(FrozenJobsTest, FreezesAndThaws) {
  Enforcer enforcer(build, board.get());
  enforcer.step_until("rTT");
  EXPECT_EQ(enforcer.frozen(), 2);
  EXPECT_EQ(listed(), 2);
  EXPECT_EQ(board->freeze_count, 2U);
  EXPECT_EQ(board->frozen_peak, 2U);
  enforcer.step_until("rrr", 3);
  EXPECT_EQ(enforcer.frozen(), 0);
  EXPECT_EQ(listed(), 0);
  EXPECT_GT(board->frozen_ns, 0);
}

TEST_F(FrozenJobsTest, ItsEndLetsEverybodyGoOn) {
  {
    Enforcer enforcer(build, board.get());
    enforcer.step_until("rTT");
  }
  build.wait_for("rrr");
  EXPECT_EQ(listed(), 0);
}

TEST_F(FrozenJobsTest, WhoeverComesAfterADeadArbiterThaws) {
  Enforcer dead(build, board.get());
  dead.step_until("rTT");
  board::thaw_all(board.get(), true);
  build.wait_for("rrr");
  EXPECT_EQ(listed(), 0);
}

TEST_F(FrozenJobsTest, NobodyAnyMoreWhenTheBuildIsToEnd) {
  Enforcer enforcer(build, board.get());
  enforcer.step_until("rTT");
  board->freezes_no_more = true;  // as the front does
  thaw_all(board.get(), false);
  build.wait_for("rrr");
  EXPECT_EQ(listed(), 2);
  enforcer.step(1);
  EXPECT_EQ(enforcer.frozen(), 0);
  EXPECT_EQ(listed(), 0);
  EXPECT_FALSE(board::Freezer(board.get()).freeze(build.job(2)));
  EXPECT_EQ(build.states(), "rrr");
}

TEST_F(FrozenJobsTest, OnlyThatVeryProcess) {
  board::Freezer freezer(board.get());
  ProcessId later = build.job(2);
  ++later.start;
  EXPECT_TRUE(freezer.freeze(later)) << "it has ended";
  EXPECT_EQ(listed(), 0);
  EXPECT_TRUE(freezer.freeze(build.job(2)));
  build.wait_for("rrT");
  freezer.thaw(later);
  EXPECT_EQ(listed(), 1);
  freezer.thaw(build.job(2));
  build.wait_for("rrr");
  EXPECT_EQ(listed(), 0);
}

TEST_F(FrozenJobsTest, WhoHasChildrenRunsOn) {
  board::Freezer freezer(board.get());
  const ProcessId make = proc::read_process(proc::read_process(build.job(0).pid)->parent)->id;
  EXPECT_FALSE(freezer.freeze(make));
  while (proc::read_process(make.pid)->state == 'T') std::this_thread::yield();
  EXPECT_EQ(listed(), 0);
}

TEST_F(FrozenJobsTest, SignalsThatWaitAreSeen) {
  board::Freezer freezer(board.get());
  const ProcessId job = build.job(2);
  EXPECT_TRUE(freezer.freeze(job));
  build.wait_for("rrT");
  ::kill(job.pid, SIGTSTP);
  ::kill(job.pid, SIGCHLD);
  EXPECT_FALSE(proc::has_waiting_signal(job.pid));
  ::kill(job.pid, SIGTERM);
  EXPECT_TRUE(proc::has_waiting_signal(job.pid));
  freezer.thaw(job);
}

}  // namespace
}  // namespace tokenpool::arbiter
