#include "host/unseen_calls.h"

#include <array>
#include <chrono>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tokenpool::host {
namespace {

using namespace std::chrono_literals;

// A child that has the file as its standard input until it is told to put it away.
class Reader {
 public:
  explicit Reader(int file) {
    EXPECT_EQ(::pipe(said_.data()), 0);
    EXPECT_EQ(::pipe(go_.data()), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      char word = 'r';
      ::dup2(file, 0);
      if (::write(said_[1], &word, 1) != 1 || ::read(go_[0], &word, 1) != 1) ::_exit(1);
      ::close(0);
      if (::write(said_[1], &word, 1) != 1) ::_exit(1);
      ::_exit(static_cast<int>(::read(go_[0], &word, 1)));
    }
    hear();
  }
  ~Reader() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    for (const int fd : {said_[0], said_[1], go_[0], go_[1]}) ::close(fd);
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  void put_away() const {
    EXPECT_EQ(::write(go_[1], "g", 1), 1);
    hear();
  }
  [[nodiscard]] core::ProcessId id() const { return proc::read_process(pid_)->id; }

 private:
  void hear() const {
    char word = 0;
    EXPECT_EQ(::read(said_[0], &word, 1), 1);
  }
  std::array<int, 2> said_{}, go_{};
  pid_t pid_ = 0;
};

class UnseenCallsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string path = ::testing::TempDir() + "/tokenpool-unseen-XXXXXX";
    file = ::mkstemp(path.data());
    ASSERT_GE(file, 0);
    ::unlink(path.c_str());
    struct stat status{};
    ASSERT_EQ(::fstat(file, &status), 0);
    calls.emplace(proc::FileId{status.st_dev, status.st_ino}, file);
  }
  void TearDown() override { ::close(file); }
  int file = -1;
  std::optional<UnseenCalls> calls;
};

using Processes = std::vector<core::ProcessId>;

TEST_F(UnseenCallsTest, NobodyWasAnnounced) { EXPECT_TRUE(calls->suspects(-1, {}).empty()); }

TEST_F(UnseenCallsTest, TheOnlyOneAnnouncedItWas) {
  const Reader a(file);
  calls->expect(a.id(), true, 0ns);
  EXPECT_TRUE(calls->suspects(+1, {}).empty()) << "announced to take, not to return";
  EXPECT_EQ(calls->suspects(-1, {}), Processes{a.id()});
  EXPECT_TRUE(calls->suspects(-1, {}).empty()) << "it is known now";
}

TEST_F(UnseenCallsTest, WhoHasPutItAwayHasHadItsToken) {
  const Reader a(file);
  const Reader b(file);
  calls->expect(a.id(), true, 0ns);
  calls->expect(b.id(), true, 0ns);
  EXPECT_EQ(calls->suspects(-1, {}).size(), 2U) << "both still read";
  b.put_away();
  EXPECT_EQ(calls->suspects(-1, {}), Processes{b.id()});
  EXPECT_EQ(calls->suspects(-1, {}), Processes{a.id()});
}

TEST_F(UnseenCallsTest, OneThatHasPutItAwayHasNotHadTheTokensOfTwo) {
  const Reader a(file);
  const Reader b(file);
  calls->expect(a.id(), true, 0ns);
  calls->expect(b.id(), true, 0ns);
  b.put_away();
  EXPECT_EQ(calls->suspects(-2, {}), (Processes{a.id(), b.id()})) << "one each";
  EXPECT_TRUE(calls->callers().empty());
  calls->expect(a.id(), true, 0ns);
  a.put_away();
  EXPECT_EQ(calls->suspects(-2, {}), Processes{a.id()}) << "there is nobody else";
}

TEST_F(UnseenCallsTest, AReadThatDoesNotBlockMayHaveFoundNothing) {
  ASSERT_EQ(::fcntl(file, F_SETFL, O_NONBLOCK), 0);
  const Reader a(file);
  const Reader b(file);
  calls->expect(a.id(), true, 0ns);
  calls->expect(b.id(), true, 0ns);
  b.put_away();
  EXPECT_EQ(calls->suspects(-1, {}), (Processes{a.id(), b.id()}));
  calls->succeeded(b.id());
  EXPECT_EQ(calls->suspects(-1, {}), Processes{b.id()}) << "a helper that ended well";
  EXPECT_EQ(calls->suspects(-1, {}), Processes{a.id()}) << "there is nobody else";
}

TEST_F(UnseenCallsTest, WhomTheKernelNamesItWas) {
  const Reader a(file);
  const Reader b(file);
  calls->expect(a.id(), true, 0ns);
  EXPECT_EQ(calls->suspects(-1, {b.id()}), Processes{b.id()});
  EXPECT_EQ(calls->suspects(-1, {}), Processes{a.id()});
}

TEST_F(UnseenCallsTest, OneThatGaveUpIsForgottenOnceItHadTheTime) {
  const Reader a(file);
  calls->expect(a.id(), true, 0ns);
  a.put_away();
  calls->forget_idle(1ms);
  EXPECT_EQ(calls->suspects(-2, {}), Processes{a.id()}) << "it may not have got to its call yet";
  calls->expect(a.id(), true, 0ns);
  calls->forget_idle(2s);
  EXPECT_TRUE(calls->suspects(-1, {}).empty());
}

TEST_F(UnseenCallsTest, AReadLeftToTheKernelIsSuspectedUntilItsThreadCallsAgain) {
  const Reader a(file);
  calls->expect_read(a.id(), 17);
  EXPECT_TRUE(calls->suspects(+1, {}).empty()) << "it reads";
  EXPECT_EQ(calls->suspects(-1, {}), Processes{a.id()});
  EXPECT_TRUE(calls->suspects(-1, {}).empty()) << "it is known now";
  calls->expect_read(a.id(), 17);
  calls->forget_idle(2s);
  EXPECT_EQ(calls->suspects(-2, {}), Processes{a.id()}) << "it may wait for a token";
  calls->expect_read(a.id(), 17);
  calls->forget_read(17);
  EXPECT_TRUE(calls->suspects(-1, {}).empty());
  calls->expect_read(a.id(), 17);
  calls->forget(a.id());
  EXPECT_TRUE(calls->suspects(-1, {}).empty());
}

TEST_F(UnseenCallsTest, AReadLeftToTheKernelBesideAShell) {
  const Reader a(file);
  const Reader b(file);
  calls->expect(a.id(), true, 0ns);
  calls->expect_read(b.id(), 17);
  a.put_away();
  EXPECT_EQ(calls->suspects(-1, {}), (Processes{a.id(), b.id()})) << "either may have it";
  EXPECT_EQ(calls->suspects(-2, {}), (Processes{a.id(), b.id()}));
}

TEST_F(UnseenCallsTest, TheNextArbiterKnowsThemToo) {
  const Reader a(file);
  const Reader b(file);
  UnseenCalls before({}, file);
  before.expect(a.id(), true, 0ns);
  before.expect_read(b.id(), 17);
  calls->restore(before.callers());
  EXPECT_EQ(calls->suspects(-2, {}), (Processes{a.id(), b.id()}));
  EXPECT_TRUE(calls->callers().empty());
}

TEST_F(UnseenCallsTest, WhoMakesAnotherCallIsDoneWithTheOneBefore) {
  const Reader a(file);
  const Reader b(file);
  calls->expect(a.id(), false, 0ns);
  a.put_away();
  calls->expect(a.id(), true, 0ns);
  calls->expect(b.id(), false, 0ns);
  EXPECT_EQ(calls->suspects(+1, {}), Processes{b.id()});
}

TEST_F(UnseenCallsTest, WhoHasBothEndsHasNotBegun) {
  const Reader a(file);
  calls->expect(a.id(), true, 0ns);
  calls->expect(a.id(), false, 0ns);
  EXPECT_EQ(calls->suspects(-1, {}), Processes{a.id()});
  EXPECT_EQ(calls->suspects(+1, {}), Processes{a.id()});
}

TEST_F(UnseenCallsTest, TheDeadAreForgotten) {
  const Reader a(file);
  calls->expect(a.id(), true, 0ns);
  calls->expect(a.id(), false, 0ns);
  calls->forget(a.id());
  EXPECT_TRUE(calls->suspects(-1, {}).empty());
  EXPECT_TRUE(calls->suspects(+1, {}).empty());
}

}  // namespace
}  // namespace tokenpool::host
