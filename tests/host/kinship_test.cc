#include "host/kinship.h"

#include <array>

#include <asio/io_context.hpp>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tokenpool::host {
namespace {

pid_t root_of(pid_t front, pid_t guardian) {
  asio::io_context io;
  Watchlist watched(io, [](const WatchedProcess&, int) {});
  core::Pool pool(1);
  return Kinship(front, guardian, watched, pool).root();
}

TEST(KinshipTest, TheFrontIsTheRootOfItsBuild) { EXPECT_EQ(root_of(::getpid(), 0), ::getpid()); }

TEST(KinshipTest, WhoKeepsThePoolIsNeverSuspected) {
  asio::io_context io;
  Watchlist watched(io, [](const WatchedProcess&, int) {});
  core::Pool pool(1);
  const core::ProcessId front{4194302, 1}, guardian{4194303, 1}, shell{4194301, 1};
  for (const auto& who : {front, guardian, shell}) pool.introduce(who, {}, false);
  const Kinship kin(front.pid, guardian.pid, watched, pool);
  EXPECT_EQ(kin.unseen_callers(), std::vector{shell});
}

// The front has ended, this process has adopted what it left: its guardian, and the build.
TEST(KinshipTest, WhoAdoptsTheOrphansIsTheirRoot) {
  ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  std::array<int, 2> told{};
  ASSERT_EQ(::pipe(told.data()), 0);
  const pid_t front = ::fork();
  if (front == 0) {
    const pid_t own = ::getpid();
    if (::fork() != 0) ::_exit(0);
    while (::getppid() == own) ::usleep(1000);
    const pid_t guardian = ::getpid();
    std::array<pid_t, 2> roots{root_of(own, guardian), 0};
    const pid_t arbiter = ::fork();
    if (arbiter == 0) {
      roots[1] = root_of(own, guardian);
      ::_exit(::write(told[1], roots.data(), sizeof roots) > 0 ? 0 : 1);
    }
    ::waitpid(arbiter, nullptr, 0);
    ::_exit(0);
  }
  std::array<pid_t, 2> roots{};
  EXPECT_EQ(::read(told[0], roots.data(), sizeof roots), static_cast<ssize_t>(sizeof roots));
  EXPECT_EQ(roots[0], ::getpid()) << "asked by the guardian";
  EXPECT_EQ(roots[1], ::getpid()) << "asked by the arbiter below it";
  while (::wait(nullptr) > 0) {
  }
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
  for (const int fd : told) ::close(fd);
}

}  // namespace
}  // namespace tokenpool::host
