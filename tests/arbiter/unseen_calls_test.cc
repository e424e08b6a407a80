#include "arbiter/unseen_calls.h"

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tokenpool::arbiter {
namespace {

using namespace std::chrono_literals;
using Fate = core::Deduction::Fate;
using Stage = core::ExpectedCall::Stage;

// A child that does as it is told, a letter each, over a socket: that is neither read nor written.
class Child {
 public:
  explicit Child(int file) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
    pid_ = ::fork();
    if (pid_ == 0) obey(ends[1], file);
    ::close(ends[1]);
    socket_ = ends[0];
  }
  ~Child() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    ::close(socket_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  void pick_up() const { tell('p'); }
  void read() const { tell('r'); }
  void read_in_vain() const { tell('v'); }
  void write() const { tell('w'); }
  void put_away() const { tell('a'); }
  void end() const {
    EXPECT_EQ(::send(socket_, "e", 1, 0), 1);
    siginfo_t info{};
    EXPECT_EQ(::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT), 0);
  }
  [[nodiscard]] core::ProcessId id() const { return proc::read_process(pid_)->id; }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  void tell(char word) const {
    EXPECT_EQ(::send(socket_, &word, 1, 0), 1);
    EXPECT_EQ(::recv(socket_, &word, 1, 0), 1);
  }
  [[noreturn]] static void obey(int socket, int file) {
    char word = 0;
    while (::recv(socket, &word, 1, 0) == 1) {
      char byte = '+';
      bool done = true;
      if (word == 'p') done = ::dup2(file, 0) == 0;
      if (word == 'r') done = ::pread(file, &byte, 1, 0) == 1;
      if (word == 'v') done = ::pread(file, &byte, 1, 1) == 0;
      if (word == 'w') done = ::pwrite(file, &byte, 1, 0) == 1;
      if (word == 'a') done = ::close(0) == 0;
      if (word == 'e' || !done || ::send(socket, &word, 1, 0) != 1) break;
    }
    ::_exit(0);
  }
  int socket_ = -1;
  pid_t pid_ = 0;
};

class UnseenCallsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string path = ::testing::TempDir() + "/tokenpool-unseen-XXXXXX";
    file = ::mkstemp(path.data());
    ASSERT_GE(file, 0);
    ASSERT_EQ(::write(file, "+", 1), 1);
    ::unlink(path.c_str());
    struct stat status{};
    ASSERT_EQ(::fstat(file, &status), 0);
    calls.emplace(proc::FileId{status.st_dev, status.st_ino}, file);
  }
  void TearDown() override { ::close(file); }
  void expect_take(const Child& child) { calls->expect(child.id(), child.pid(), true, 0ns); }
  void expect_give(const Child& child) { calls->expect(child.id(), child.pid(), false, 0ns); }
  std::vector<Stage> stages(core::Instant now = 0ns) {
    std::vector<Stage> stages;
    for (const auto& call : calls->calls(now)) stages.push_back(call.stage);
    return stages;
  }
  using Stages = std::vector<Stage>;
  int file = -1;
  std::optional<UnseenCalls> calls;
};

using Processes = std::vector<core::ProcessId>;

TEST_F(UnseenCallsTest, ATakeIsOverWhenItHasReadAndPutTheFifoAway) {
  const Child a(file);
  expect_take(a);
  EXPECT_EQ(stages(), Stages{Stage::pending}) << "it has not got to it yet";
  a.pick_up();
  EXPECT_EQ(stages(1s), Stages{Stage::pending}) << "it waits";
  a.read();
  EXPECT_EQ(stages(), Stages{Stage::pending}) << "it may read on";
  a.put_away();
  EXPECT_EQ(stages(), Stages{Stage::over});
}

TEST_F(UnseenCallsTest, ATakeThatFoundNothingHasFailed) {
  const Child a(file);
  expect_take(a);
  a.pick_up();
  a.read_in_vain();
  a.put_away();
  EXPECT_EQ(stages(), Stages{Stage::failed});
}

TEST_F(UnseenCallsTest, AReturnIsOverWhenItHasWritten) {
  const Child a(file);
  expect_give(a);
  a.read();
  EXPECT_EQ(stages(1s), Stages{Stage::pending});
  a.write();
  EXPECT_EQ(stages(), Stages{Stage::over});
}

TEST_F(UnseenCallsTest, TheDeadHaveReturnedWhatTheyWereAboutTo) {
  const Child a(file);
  const Child b(file);
  expect_give(a);
  expect_take(b);
  b.pick_up();
  a.end();
  b.end();
  EXPECT_EQ(stages(1s), (Stages{Stage::over, Stage::pending})) << "one that waited may be killed";
  calls->succeeded(b.id());
  EXPECT_EQ(stages(), (Stages{Stage::over, Stage::over})) << "a helper that fetched one";
}

TEST_F(UnseenCallsTest, AReadLeftToTheKernelIsOverWhenItHasRead) {
  const Child a(file);
  calls->expect_read(a.id(), a.pid());
  EXPECT_EQ(stages(1s), Stages{Stage::pending});
  a.read();
  EXPECT_EQ(stages(), Stages{Stage::over});
  a.read();
  EXPECT_EQ(stages(), Stages{Stage::in_vain}) << "it may have been another one that found it";
  calls->expect_read(a.id(), a.pid());
  EXPECT_EQ(stages(), Stages{Stage::pending}) << "another read";
  a.read_in_vain();
  EXPECT_EQ(stages(), Stages{Stage::failed});
}

TEST_F(UnseenCallsTest, AReadLeftToTheKernelIsOverWhenItsThreadCallsAgain) {
  const Child a(file);
  calls->expect_read(a.id(), a.pid());
  calls->read_is_over(a.pid() + 1);
  EXPECT_EQ(stages(), Stages{Stage::pending});
  calls->read_is_over(a.pid());
  EXPECT_EQ(stages(), Stages{Stage::failed});
  calls->forget_read(a.pid());
  EXPECT_TRUE(calls->callers().empty());
  const pid_t nobody = 0;
  calls->expect_read(a.id(), nobody);
  EXPECT_EQ(stages(1s), Stages{Stage::pending}) << "where the kernel does not tell";
  calls->read_is_over(nobody);
  EXPECT_EQ(stages(), Stages{Stage::in_vain});
}

TEST_F(UnseenCallsTest, WhoIsOverIsForgottenWhenItIsSettled) {
  const Child a(file);
  const Child b(file);
  const Child c(file);
  for (const Child* child : {&a, &b, &c}) expect_take(*child);
  calls->settle(std::vector{Fate::over, Fate::booked, Fate::stays});
  const auto left = calls->calls(0ns);
  ASSERT_EQ(left.size(), 2U);
  EXPECT_EQ(left[0].who, b.id());
  EXPECT_TRUE(left[0].booked);
  EXPECT_FALSE(left[1].booked);
  calls->settle(std::vector{Fate::stays, Fate::stays});
  EXPECT_FALSE(calls->calls(0ns).front().booked);
}

TEST_F(UnseenCallsTest, NobodyWasAnnounced) { EXPECT_TRUE(calls->suspects(-1, {}).empty()); }

TEST_F(UnseenCallsTest, WhereNobodyIsNamedAllThatWereAnnouncedMayHave) {
  const Child a(file);
  const Child b(file);
  expect_take(a);
  EXPECT_TRUE(calls->suspects(+1, {}).empty()) << "announced to take, not to return";
  expect_take(b);
  EXPECT_EQ(calls->suspects(-1, {}), (Processes{a.id(), b.id()}));
  EXPECT_EQ(calls->suspects(-2, {}), (Processes{a.id(), b.id()})) << "one each";
  EXPECT_TRUE(calls->callers().empty()) << "it is known now";
}

TEST_F(UnseenCallsTest, WhomTheKernelNamesItWas) {
  const Child a(file);
  const Child b(file);
  expect_take(a);
  EXPECT_EQ(calls->suspects(-1, {b.id()}), Processes{b.id()});
  EXPECT_EQ(calls->suspects(-1, {}), Processes{a.id()});
}

TEST_F(UnseenCallsTest, OneThatGaveUpIsForgotten) {
  const Child a(file);
  const Child b(file);
  expect_take(a);
  calls->expect_read(b.id(), 17);
  calls->forget_idle(1s);
  EXPECT_EQ(calls->callers().size(), 2U) << "neither has got to its call yet";
  a.pick_up();
  a.read_in_vain();
  a.put_away();
  calls->forget_idle(1s);
  ASSERT_EQ(calls->callers().size(), 1U) << "a read that is left to the kernel waits";
  EXPECT_EQ(calls->callers().front().who, b.id());
}

TEST_F(UnseenCallsTest, TheNextArbiterKnowsThemToo) {
  const Child a(file);
  const Child b(file);
  expect_take(a);
  calls->expect_read(b.id(), 17);
  UnseenCalls next({}, file);
  next.restore(calls->callers());
  EXPECT_EQ(next.callers(), calls->callers());
}

TEST_F(UnseenCallsTest, WhoMakesAnotherCallIsDoneWithTheOneBefore) {
  const Child a(file);
  expect_give(a);
  expect_take(a);
  ASSERT_EQ(calls->callers().size(), 1U);
  EXPECT_EQ(calls->callers().front().call, board::UnseenCaller::Call::take);
}

TEST_F(UnseenCallsTest, WhoHasBothEndsHasNotBegun) {
  const Child a(file);
  expect_take(a);
  a.pick_up();
  expect_give(a);
  EXPECT_EQ(calls->callers().size(), 2U);
  calls->forget(a.id());
  EXPECT_TRUE(calls->callers().empty());
}

}  // namespace
}  // namespace tokenpool::arbiter
