#include "proc/signal.h"

#include <cerrno>
#include <cstdint>

#include <gtest/gtest.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proc/fork_bound.h"
#include "proc/process.h"

namespace tokenpool::proc {
namespace {

pid_t start_waiting() {
  const pid_t child = fork_bound();
  if (child == 0) {
    while (true) ::pause();
  }
  return child;
}

void end(pid_t child) {
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

/// The signal that ended it; 0: none did.
int ended_by(pid_t child) {
  int status = 0;
  if (::waitpid(child, &status, 0) != child) return 0;
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/// A process with this number, which nobody has; -1 with errno where that may not be chosen.
pid_t start_waiting_as(pid_t pid) {
  clone_args how{};
  how.exit_signal = SIGCHLD;
  how.set_tid = reinterpret_cast<std::uint64_t>(&pid);
  how.set_tid_size = 1;
  const auto child = static_cast<pid_t>(::syscall(SYS_clone3, &how, sizeof how));
  if (child == 0) {
    while (true) ::pause();
  }
  return child;
}

TEST(SendSignal, ReachesTheOneThatIsMeant) {
  const pid_t child = start_waiting();
  EXPECT_EQ(send_signal(read_process(child)->id, SIGKILL), Sent::yes);
  EXPECT_EQ(ended_by(child), SIGKILL);
}

TEST(SendSignal, OneWithTheSameNumberIsSpared) {
  const pid_t child = start_waiting();
  core::ProcessId before = read_process(child)->id;
  before.start -= 1;
  EXPECT_EQ(send_signal(before, SIGKILL), Sent::gone);
  EXPECT_EQ(::waitpid(child, nullptr, WNOHANG), 0) << "it lives";
  end(child);
}

TEST(SendSignal, OneThatHasEndedIsGone) {
  const pid_t child = start_waiting();
  const core::ProcessId who = read_process(child)->id;
  end(child);
  EXPECT_EQ(send_signal(who, SIGKILL), Sent::gone);
}

TEST(SendSignal, WhoIsNotMeantIsSpared) {
  const pid_t child = start_waiting();
  EXPECT_EQ(send_signal_if(child, SIGKILL, [] { return false; }), Sent::gone);
  EXPECT_EQ(::waitpid(child, nullptr, WNOHANG), 0) << "it lives";
  end(child);
}

TEST(SendSignal, WhoGetsTheNumberMeanwhileIsSpared) {
  const pid_t child = start_waiting();
  pid_t heir = -1;
  const Sent sent = send_signal_if(child, SIGKILL, [&] {
    end(child);
    heir = start_waiting_as(child);
    return true;
  });
  EXPECT_EQ(sent, Sent::gone);
  if (heir < 0) GTEST_SKIP() << "only root may choose the number of a process, errno " << errno;
  ASSERT_EQ(heir, child);
  EXPECT_EQ(::waitpid(heir, nullptr, WNOHANG), 0) << "it lives";
  end(heir);
}

TEST(SendSignal, WithNoDescriptorLeftItIsSentAllTheSame) {
  const pid_t child = start_waiting();
  const core::ProcessId who = read_process(child)->id;
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = 0;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const Sent sent = send_signal(who, SIGKILL);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(sent, Sent::yes);
  EXPECT_EQ(ended_by(child), SIGKILL);
}

}  // namespace
}  // namespace tokenpool::proc
