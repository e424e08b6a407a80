#include "arbiter/kinship.h"

#include <array>
#include <vector>

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tokenpool::arbiter {
namespace {

pid_t root_of(pid_t front, pid_t guardian) {
  proc::EventLoop loop;
  proc::Watchlist watched(loop, [](const proc::WatchedProcess&, int) {});
  core::Pool pool(1);
  return Kinship(front, guardian, watched, pool).root();
}

TEST(KinshipTest, TheFrontIsTheRootOfItsBuild) { EXPECT_EQ(root_of(::getpid(), 0), ::getpid()); }

TEST(KinshipTest, WhoKeepsThePoolIsNeverSuspected) {
  proc::EventLoop loop;
  proc::Watchlist watched(loop, [](const proc::WatchedProcess&, int) {});
  core::Pool pool(1);
  const core::ProcessId front{4194302, 1}, guardian{4194303, 1}, shell{4194301, 1};
  for (const auto& who : {front, guardian, shell}) pool.introduce(who, {}, false);
  const Kinship kin(front.pid, guardian.pid, watched, pool);
  EXPECT_EQ(kin.unseen_callers(), std::vector{shell});
}

// A subreaper below this process starts a client, which starts a job.
struct Family {
  Family() {
    EXPECT_EQ(::pipe(told.data()), 0);
    subreaper = ::fork();
    if (subreaper == 0) {
      ::prctl(PR_SET_CHILD_SUBREAPER, 1);
      const pid_t first = ::fork();
      if (first == 0) {
        const pid_t own = ::fork();
        if (own == 0) ::pause();
        const std::array<pid_t, 2> pids{::getpid(), own};
        (void)!::write(told[1], pids.data(), sizeof pids);
        ::pause();
      }
      ::waitpid(first, nullptr, 0);
      (void)!::write(told[1], "r", 1);
      ::pause();
    }
    std::array<pid_t, 2> pids{};
    EXPECT_EQ(::read(told[0], pids.data(), sizeof pids), static_cast<ssize_t>(sizeof pids));
    client = pids[0];
    job = pids[1];
  }
  ~Family() {
    ::kill(job, SIGKILL);
    ::kill(subreaper, SIGKILL);
    ::waitpid(subreaper, nullptr, 0);
    for (const int fd : told) ::close(fd);
  }
  Family(const Family&) = delete;
  Family& operator=(const Family&) = delete;
  void kill_client() const {
    char word = 0;
    ::kill(client, SIGKILL);
    EXPECT_EQ(::read(told[0], &word, 1), 1);
  }

  std::array<int, 2> told{};
  pid_t subreaper = 0;
  pid_t client = 0;
  pid_t job = 0;
};

std::vector<pid_t> orphans(bool is_known) {
  proc::EventLoop loop;
  proc::Watchlist watched(loop, [](const proc::WatchedProcess&, int) {});
  core::Pool pool(1);
  const Family family;
  Kinship kin(::getpid(), 0, watched, pool);
  if (is_known) kin.add_subreaper(family.subreaper);
  EXPECT_TRUE(kin.adopt(family.client));
  const proc::WatchedProcess client = *watched.find(family.client);
  family.kill_client();
  std::vector<pid_t> found;
  for (const auto& orphan : kin.orphans_of(client)) {
    found.push_back(orphan.pid == family.job ? 1 : orphan.pid);
  }
  EXPECT_TRUE(kin.orphans_of(client).empty()) << "each is found once";
  return found;
}

TEST(KinshipTest, OrphansGoToTheNearestSubreaper) {
  EXPECT_EQ(orphans(true), std::vector<pid_t>{1});
  EXPECT_EQ(orphans(false), std::vector<pid_t>{}) << "this process has none of them";
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
}  // namespace tokenpool::arbiter
