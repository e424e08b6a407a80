#include "jobserver/fifo_watch.h"

#include <functional>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jobserver/fifo.h"

namespace tokenpool::jobserver {
namespace {

constexpr uid_t kNobody = 65534;

/// Does `body` in a process of its own, to its end; answers who it was.
pid_t in_child(const std::function<bool()>& body) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(body() ? 0 : 1);
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(status, 0);
  return pid;
}

class FifoWatchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fifo.choose_name(::testing::TempDir());
    ASSERT_TRUE(fifo.create());
  }
  void TearDown() override { fifo.remove(); }

  [[nodiscard]] bool write_one() const {
    const int fd = ::open(fifo.path().c_str(), O_RDWR);
    return ::write(fd, "+", 1) == 1;
  }
  [[nodiscard]] bool read_one() const {
    const int fd = ::open(fifo.path().c_str(), O_RDWR);
    char byte = 0;
    return ::read(fd, &byte, 1) == 1;
  }

  Fifo fifo;
};

TEST_F(FifoWatchTest, TellsWhoDidWhat) {
  const FifoWatch watch(fifo.path());
  if (!watch.names_processes()) GTEST_SKIP() << "no right to learn who it was";
  FifoTouches touches;
  EXPECT_FALSE(watch.collect(&touches));
  const pid_t opener = in_child([this] { return ::open(fifo.path().c_str(), O_RDWR) >= 0; });
  const pid_t writer = in_child([this] { return write_one() && write_one(); });
  EXPECT_TRUE(watch.collect(&touches));
  EXPECT_EQ(touches.opened, std::vector{opener});
  EXPECT_GE(touches.opens, 2);
  EXPECT_EQ(touches.writers, std::vector{writer});
  EXPECT_EQ(touches.writes, 1) << "at least";
  const pid_t reader = in_child([this] { return read_one(); });
  EXPECT_TRUE(watch.collect(&touches));
  EXPECT_EQ(touches.writers, std::vector{writer}) << "what was there before stays";
  EXPECT_EQ(touches.readers, std::vector{reader});
  EXPECT_EQ(touches.reads, 1);
}

TEST_F(FifoWatchTest, OursAreLeftOut) {
  const FifoWatch watch(fifo.path());
  if (!watch.names_processes()) GTEST_SKIP() << "no right to learn who it was";
  EXPECT_EQ(fifo.put(2), 2);
  EXPECT_EQ(fifo.take(1), 1);
  FifoTouches touches;
  EXPECT_FALSE(watch.collect(&touches));
  EXPECT_EQ(touches.reads + touches.writes, 0);
}

TEST_F(FifoWatchTest, WithoutPrivilegeItCounts) {
  const pid_t nobody = ::fork();
  if (nobody == 0) {
    Fifo own;
    own.choose_name("/tmp");
    if (::geteuid() == 0 && ::setresuid(kNobody, kNobody, kNobody) != 0) ::_exit(2);
    if (!own.create()) ::_exit(3);
    const FifoWatch watch(own.path());
    FifoTouches touches;
    // One token that goes from hand to hand, twice, and comes back.
    for (int i = 0; i < 2; ++i) {
      (void)own.put(1);
      (void)own.take(1);
    }
    (void)own.put(1);
    ::close(::open(own.path().c_str(), O_RDWR));
    const bool any = watch.collect(&touches);
    const bool more = watch.collect(&touches);
    const bool named = watch.names_processes() || !touches.readers.empty();
    own.remove();
    ::_exit(!named && any && !more && touches.reads == 2 && touches.writes == 3 &&
                    touches.opens == 1
                ? 7
                : 8);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(nobody, &status, 0), nobody);
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

TEST_F(FifoWatchTest, WithoutAFileNothingIsReported) {
  const FifoWatch watch("/nonexistent/fifo");
  FifoTouches touches;
  EXPECT_LT(watch.fd(), 0);
  EXPECT_FALSE(watch.collect(&touches));
}

}  // namespace
}  // namespace tokenpool::jobserver
