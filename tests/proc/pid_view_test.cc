#include "proc/pid_view.h"

#include <csignal>

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proc/process.h"

namespace tokenpool::proc {
namespace {

TEST(PidView, WhoLivesWithUsSeesOurNumbers) {
  EXPECT_EQ(PidView(::getpid()).of(::getppid()), ::getppid());
  EXPECT_EQ(PidView(0).of(17), 17);
  EXPECT_TRUE(own_pids_of(::getpid()).empty());
  EXPECT_TRUE(own_pids_of(0).empty());
}

/// A child in a pid namespace of its own, in which it is number 1. 0: none may be made here.
pid_t start_in_new_namespace() {
  int ready[2];
  if (::pipe(ready) != 0) return 0;
  const pid_t outer = ::fork();
  if (outer == 0) {
    ::close(ready[0]);
    if (::unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0 && ::unshare(CLONE_NEWPID) != 0) ::_exit(1);
    const pid_t inner = ::fork();
    if (inner == 0) {
      ::pause();
      ::_exit(0);
    }
    (void)!::write(ready[1], &inner, sizeof inner);
    ::waitpid(inner, nullptr, 0);
    ::_exit(0);
  }
  ::close(ready[1]);
  pid_t inner = 0;
  const bool told = ::read(ready[0], &inner, sizeof inner) == sizeof inner;
  ::close(ready[0]);
  if (!told) ::waitpid(outer, nullptr, 0);
  return told ? inner : 0;
}

TEST(PidView, ANamespaceBelowOurs) {
  const pid_t inner = start_in_new_namespace();
  if (inner == 0) GTEST_SKIP() << "no pid namespace may be made here";
  const PidView view(inner);
  EXPECT_EQ(view.of(inner), 1);
  EXPECT_EQ(view.of(::getpid()), 0) << "outside of it";
  EXPECT_EQ(view.of(0), 0);
  const auto own = own_pids_of(inner);
  EXPECT_EQ(own.size(), 1U);
  EXPECT_EQ(own.count(1) == 1 ? own.at(1) : 0, inner);
  const auto parent = read_process(inner);
  ::kill(inner, SIGKILL);
  if (parent) ::waitpid(parent->parent, nullptr, 0);
}

TEST(AgeMs, OfAProcess) {
  const auto self = read_process(::getpid());
  ASSERT_TRUE(self);
  EXPECT_GE(age_ms(self->id.start), 0);
  EXPECT_EQ(age_ms(UINT64_MAX / 2000), 0) << "one of the future";
}

}  // namespace
}  // namespace tokenpool::proc
