#include "proc/watchlist.h"

#include <array>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tokenpool::proc {
namespace {

/// A child that executes a shell when it is told to: `read` makes it stand there, its end ends it.
struct Child {
  Child() {
    EXPECT_EQ(::pipe(go.data()), 0);
    EXPECT_EQ(::pipe(up.data()), 0);
    pid = ::fork();
    if (pid != 0) return;
    ::dup2(go[0], 0);
    ::dup2(up[1], 1);
    ::close(go[1]);
    char word = 0;
    if (::read(0, &word, 1) == 1) ::execl("/bin/sh", "sh", "-c", "echo; read line", nullptr);
    ::_exit(1);
  }
  ~Child() {
    for (const int fd : {go[0], go[1], up[0], up[1]}) {
      if (fd >= 0) ::close(fd);
    }
    if (pid > 0) ::waitpid(pid, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void execute() const {
    char word = 'x';
    EXPECT_EQ(::write(go[1], &word, 1), 1);
    EXPECT_EQ(::read(up[0], &word, 1), 1);
  }
  /// Ended, but not waited for.
  void end() const {
    EXPECT_EQ(::write(go[1], "\n", 1), 1);
    siginfo_t info{};
    EXPECT_EQ(::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT), 0);
  }

  std::array<int, 2> go{-1, -1};
  std::array<int, 2> up{-1, -1};
  pid_t pid = 0;
};

class WatchlistNames : public ::testing::Test {
 protected:
  void watch() {
    const auto info = proc::read_process(child_.pid);
    ASSERT_TRUE(info);
    ASSERT_TRUE(watched_.add(*info));
    who_ = info->id;
  }
  std::string name() { return watched_.find(child_.pid)->command; }

  Child child_;
  EventLoop loop_;
  Watchlist watched_{loop_, [](const WatchedProcess&, int) {}};
  core::ProcessId who_;
};

TEST_F(WatchlistNames, AHelperIsNamedByWhatItExecuted) {
  watch();
  const std::string before = name();
  child_.execute();
  EXPECT_EQ(name(), before);
  watched_.look_again(who_);
  EXPECT_EQ(name(), "sh -c echo; read line");
}

TEST_F(WatchlistNames, ItsFirstCallTellsWhatItIsByThen) {
  watch();
  const std::string before = name();
  child_.execute();
  EXPECT_EQ(name(), before);
  watched_.note_call(who_);
  EXPECT_EQ(name(), "sh -c echo; read line");
}

TEST_F(WatchlistNames, TheStatusWithWhichOneIsAboutToEndIsKept) {
  watch();
  EXPECT_FALSE(watched_.find(child_.pid)->exit_status);
  watched_.note_exit(child_.pid, 3);
  watched_.note_exit(::getpid(), 4);
  EXPECT_EQ(watched_.find(child_.pid)->exit_status, 3);
}

TEST_F(WatchlistNames, OfOneThatHasEndedTheNameIsLeft) {
  watch();
  child_.execute();
  child_.end();
  watched_.look_again(who_);
  EXPECT_EQ(name().front(), '[') << name();
}

TEST_F(WatchlistNames, OneThatExecutedNothingElseKeepsItsLine) {
  child_.execute();
  watch();
  child_.end();
  watched_.look_again(who_);
  EXPECT_EQ(name(), "sh -c echo; read line");
}

TEST_F(WatchlistNames, AnotherOwnerOfThePidIsNotTakenForIt) {
  watch();
  const std::string before = name();
  child_.execute();
  watched_.look_again({child_.pid, who_.start + 1});
  EXPECT_EQ(name(), before);
}

}  // namespace
}  // namespace tokenpool::proc
