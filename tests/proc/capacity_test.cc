#include "proc/capacity.h"

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <stdlib.h>

#include "core/limits.h"
#include "proc/cgroup_paths.h"

namespace tokenpool::proc {
namespace {

namespace fs = std::filesystem;

/// A tree with /proc and /sys as some machine would show them.
class FakeMachine : public ::testing::Test {
 protected:
  FakeMachine() {
    std::string name = (fs::temp_directory_path() / "tokenpool-capacity-XXXXXX").string();
    root_ = mkdtemp(name.data());
  }
  ~FakeMachine() override { fs::remove_all(root_); }

  void file(const std::string& path, const std::string& text) {
    fs::create_directories(fs::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  void v2(const std::string& group, const std::string& mount_root = "/") {
    file("/proc/self/cgroup", "0::" + group + "\n");
    file("/proc/self/mountinfo",
         "22 1 0:21 / /proc rw - proc proc rw\n"
         "30 22 0:26 " +
             mount_root + " /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n");
  }
  void v1(const std::string& group) {
    file("/proc/self/cgroup", "3:cpu,cpuacct:" + group + "\n0::/\n");
    file("/proc/self/mountinfo",
         "31 22 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
         "32 22 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
  }
  Capacity read(int affinity) const { return read_capacity(root_, affinity); }

  std::string root_;
};

TEST_F(FakeMachine, WithoutCgroups) {
  EXPECT_EQ(read(4), (Capacity{4, std::nullopt, "", 4}));
  EXPECT_EQ(read(0).usable, 1);
  EXPECT_EQ(read(100000).usable, core::kMaxSlots);
}

TEST_F(FakeMachine, QuotaIsRoundedUp) {
  v2("/a");
  file("/sys/fs/cgroup/a/cpu.max", "150000 100000\n");
  EXPECT_EQ(read(8), (Capacity{8, 1.5, "/sys/fs/cgroup/a/cpu.max", 2}));
  file("/sys/fs/cgroup/a/cpu.max", "1000 100000\n");
  EXPECT_EQ(read(8).usable, 1);
}

TEST_F(FakeMachine, AffinityMayBeTighter) {
  v2("/a");
  file("/sys/fs/cgroup/a/cpu.max", "600000 100000\n");
  EXPECT_EQ(read(2).usable, 2);
}

TEST_F(FakeMachine, TheTightestAncestorCounts) {
  v2("/a/b/c");
  file("/sys/fs/cgroup/a/b/c/cpu.max", "max 100000\n");
  file("/sys/fs/cgroup/a/b/cpu.max", "300000 100000\n");
  file("/sys/fs/cgroup/a/cpu.max", "400000 100000\n");
  EXPECT_EQ(read(8), (Capacity{8, 3.0, "/sys/fs/cgroup/a/b/cpu.max", 3}));
}

TEST_F(FakeMachine, NoQuotaAndNonsenseSetNone) {
  v2("/a");
  for (const char* text : {"max 100000", "", "x", "-5 100000", "100000", "100000 0", "max"}) {
    file("/sys/fs/cgroup/a/cpu.max", text);
    EXPECT_EQ(read(5).usable, 5) << text;
  }
}

TEST_F(FakeMachine, ContainerWithoutNamespaceSeesItsOwnPartOnly) {
  v2("/docker/123/job", "/docker/123");
  file("/sys/fs/cgroup/job/cpu.max", "200000 100000\n");
  EXPECT_EQ(read(8).usable, 2);
}

TEST_F(FakeMachine, GroupOutsideOfTheNamespace) {
  v2("/../other");
  file("/sys/fs/cgroup/cpu.max", "300000 100000\n");
  EXPECT_EQ(read(8).usable, 3);
}

TEST_F(FakeMachine, VersionOne) {
  v1("/a/b");
  file("/sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "-1\n");
  file("/sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n");
  file("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "250000\n");
  file("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(read(8), (Capacity{8, 2.5, "/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", 3}));
}

TEST_F(FakeMachine, MountPointsWithBlanks) {
  file("/proc/self/cgroup", "0::/\n");
  file("/proc/self/mountinfo", "30 22 0:26 / /sys/my\\040groups rw - cgroup2 none rw\n");
  file("/sys/my groups/cpu.max", "100000 100000\n");
  EXPECT_EQ(read(8).usable, 1);
}

TEST_F(FakeMachine, CutLinesAreSkipped) {
  file("/proc/self/cgroup", "nonsense\n0:\n0::/\n");
  file("/proc/self/mountinfo", "30 22\n\n30 22 0:26 / /x rw -\n30 22 0:26 / /x rw - cgroup2\n");
  EXPECT_TRUE(cgroup_paths(root_, "cpu").empty());
  EXPECT_EQ(read(3).usable, 3);
}

TEST(Capacity, OfThisMachine) {
  const Capacity here = capacity();
  EXPECT_GE(here.affinity, 1);
  EXPECT_GE(here.usable, 1);
  EXPECT_LE(here.usable, here.affinity);
  EXPECT_EQ(usable_cpus(), here.usable);
}

}  // namespace
}  // namespace tokenpool::proc
