#include "proc/build_mark.h"

#include <array>

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tokenpool::proc {
namespace {

TEST(BuildMark, ADescendantThatLeftEverythingCarriesIt) {
  const BuildMark mark = new_build_mark();
  ASSERT_NE(mark, 0U);
  EXPECT_FALSE(has_build_mark(::getpid(), mark));
  std::array<int, 2> said{};
  ASSERT_EQ(::pipe(said.data()), 0);
  if (::fork() == 0) {
    carry_build_mark(mark);
    ::setsid();
    const pid_t daemon = ::fork();
    if (daemon == 0) {
      // Says its number last, when nothing ties it to anybody any more but this.
      const pid_t self = ::getpid();
      if (::write(said[1], &self, sizeof self) != static_cast<ssize_t>(sizeof self)) ::_exit(1);
      ::pause();
    }
    ::_exit(0);
  }
  ::wait(nullptr);
  pid_t daemon = 0;
  ASSERT_EQ(::read(said[0], &daemon, sizeof daemon), static_cast<ssize_t>(sizeof daemon));
  EXPECT_TRUE(has_build_mark(daemon, mark));
  EXPECT_FALSE(has_build_mark(daemon, mark + 1));
  ::kill(daemon, SIGKILL);
  for (const int end : said) ::close(end);
}

TEST(BuildMark, NoTwoAreEqual) { EXPECT_NE(new_build_mark(), new_build_mark()); }

TEST(BuildMark, ARealLimitIsLeftAlone) {
  const pid_t child = ::fork();
  if (child == 0) {
    rlimit limit{};
    ::getrlimit(RLIMIT_RTTIME, &limit);
    limit.rlim_cur = 200000;
    ::setrlimit(RLIMIT_RTTIME, &limit);
    ::_exit(new_build_mark() == 0 ? 7 : 8);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

TEST(BuildMark, NoneIsCarriedByNobody) {
  carry_build_mark(0);
  rlimit limit{};
  ::getrlimit(RLIMIT_RTTIME, &limit);
  EXPECT_EQ(limit.rlim_cur, RLIM_INFINITY);
}

}  // namespace
}  // namespace tokenpool::proc
