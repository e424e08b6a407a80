// Freezing with real processes. Waits for states, and asserts no time.
#include "watch/enforcement_watch.h"

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

class EnforcementWatchTest : public testing::Test {
 protected:
  EnforcementWatchContext context() {
    return {.pool = &pool,
            .leases = &leases,
            .process_of = [](core::SessionId) { return std::nullopt; },
            .in_use = [] { return 3; },
            .allowed = [this] { return allowed; },
            .uncooperative = [] { return std::vector<ProcessId>(); },
            .front = build.front(),
            .board = board.get(),
            .tell = [this] { ++told; }};
  }
  /// Steps when it is due until the states are these.
  void step_until(EnforcementWatch* enforcement, const std::string& states) const {
    while (build.states() != states) {
      std::this_thread::sleep_until(std::chrono::steady_clock::time_point(enforcement->due()));
      enforcement->step(proc::now());
    }
  }
  [[nodiscard]] int listed() const {
    int count = 0;
    for (const board::FrozenRow& row : board->frozen) count += row.pid != 0 ? 1 : 0;
    return count;
  }

  Build build;
  int allowed = 1;
  int told = 0;
  core::Pool pool{2};
  core::LeasePool leases{3, 1, [](const core::Payer&) { return 0; }};
  board::MappedBoard board{board::map_board()};
};

TEST_F(EnforcementWatchTest, FreezesAndThaws) {
  EnforcementWatch enforcement(context(), proc::now());
  step_until(&enforcement, "rTT");
  EXPECT_EQ(enforcement.frozen(), 2);
  EXPECT_EQ(listed(), 2);
  EXPECT_EQ(told, 1);
  EXPECT_EQ(board->freeze_count, 2U);
  EXPECT_EQ(board->frozen_peak, 2U);
  allowed = 3;
  step_until(&enforcement, "rrr");
  EXPECT_EQ(enforcement.frozen(), 0);
  EXPECT_EQ(listed(), 0);
  EXPECT_GT(board->frozen_ns, 0);
}

TEST_F(EnforcementWatchTest, ItsEndLetsEverybodyGoOn) {
  {
    EnforcementWatch enforcement(context(), proc::now());
    step_until(&enforcement, "rTT");
  }
  build.wait_for("rrr");
  EXPECT_EQ(listed(), 0);
}

TEST_F(EnforcementWatchTest, WhoeverComesAfterADeadArbiterThaws) {
  auto dead = std::make_unique<EnforcementWatch>(context(), proc::now());
  step_until(dead.get(), "rTT");
  board::thaw_all(board.get(), true);
  build.wait_for("rrr");
  EXPECT_EQ(listed(), 0);
}

TEST_F(EnforcementWatchTest, NobodyAnyMoreWhenTheBuildIsToEnd) {
  EnforcementWatch enforcement(context(), proc::now());
  step_until(&enforcement, "rTT");
  board->freezes_no_more = true;  // as the front does
  thaw_all(board.get(), false);
  build.wait_for("rrr");
  EXPECT_EQ(listed(), 2);
  enforcement.step(proc::now());
  EXPECT_EQ(enforcement.frozen(), 0);
  EXPECT_EQ(listed(), 0);
  EXPECT_FALSE(board::Freezer(board.get()).freeze(build.job(2)));
  EXPECT_EQ(build.states(), "rrr");
}

TEST_F(EnforcementWatchTest, OnlyThatVeryProcess) {
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

TEST_F(EnforcementWatchTest, WhoHasChildrenRunsOn) {
  board::Freezer freezer(board.get());
  const ProcessId make = proc::read_process(proc::read_process(build.job(0).pid)->parent)->id;
  EXPECT_FALSE(freezer.freeze(make));
  while (proc::read_process(make.pid)->state == 'T') std::this_thread::yield();
  EXPECT_EQ(listed(), 0);
}

TEST_F(EnforcementWatchTest, SignalsThatWaitAreSeen) {
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
}  // namespace tokenpool::watch
