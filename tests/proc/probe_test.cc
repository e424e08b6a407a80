#include "proc/probe.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "open_descriptors.h"
#include "proc/environ.h"

namespace tokenpool::proc {
namespace {

TEST(Probe, LeavesNothingBehind) {
  const auto before = open_descriptors();
  const Probe first = probe();
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
  EXPECT_FALSE(std::filesystem::exists(first.cgroup_folder + "/tokenpool-probe-" +
                                       std::to_string(getpid())));
}

TEST(Probe, AnswersTheSameTwice) { EXPECT_EQ(probe(), probe()); }

TEST(Probe, ReportsWhoWeAre) {
  const Probe here = probe();
  EXPECT_EQ(here.uid, geteuid());
  EXPECT_FALSE(here.kernel.empty());
  EXPECT_EQ(here.no_new_privs, !here.sys_admin);
}

TEST(Environ, OwnAndInitial) {
  ASSERT_EQ(setenv("TOKENPOOL_TEST_MARK", "now", 1), 0);
  const auto own = own_environment();
  const auto initial = initial_environment(getpid());
  EXPECT_NE(std::find(own.begin(), own.end(), "TOKENPOOL_TEST_MARK=now"), own.end());
  EXPECT_EQ(std::find(initial.begin(), initial.end(), "TOKENPOOL_TEST_MARK=now"), initial.end());
  EXPECT_FALSE(initial.empty());
  unsetenv("TOKENPOOL_TEST_MARK");
}

}  // namespace
}  // namespace tokenpool::proc
