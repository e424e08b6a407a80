#include "proc/build_load.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

#include "proc/load_meter.h"

namespace tokenpool::proc {
namespace {

using namespace std::chrono_literals;

class BuildLoadTest : public testing::Test {
 protected:
  BuildLoadTest() {
    std::string name = testing::TempDir() + "build_load_XXXXXX";
    folder = ::mkdtemp(name.data());
  }
  ~BuildLoadTest() override { std::filesystem::remove_all(folder); }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder + "/" + name, std::ios::trunc) << text;
  }
  std::string folder;
};

TEST_F(BuildLoadTest, ReadsTheGroupsCounters) {
  write("cpu.stat", "usage_usec 5000000\nuser_usec 4000000\nsystem_usec 1000000\n");
  write("cpu.pressure",
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=700000\n"
        "full avg10=0.00 avg60=0.00 avg300=0.00 total=1\n");
  BuildLoad load(folder);
  EXPECT_FALSE(load.glance(10s).use) << "since when is not known";
  write("cpu.stat", "usage_usec 8000000\nuser_usec 4000000\nsystem_usec 1000000\n");
  write("cpu.pressure",
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=1200000\n"
        "full avg10=0.00 avg60=0.00 avg300=0.00 total=1\n");
  const auto signs = load.glance(12s);
  ASSERT_TRUE(signs.use && signs.waiting);
  EXPECT_DOUBLE_EQ(*signs.use, 1.5);
  EXPECT_DOUBLE_EQ(*signs.waiting, 0.25);
}

TEST_F(BuildLoadTest, ReadsTheCountersOfVersion1) {
  write("cpu.stat", "nr_periods 0\nnr_throttled 0\nthrottled_time 0\n");
  write("cpuacct.usage", "5000000000\n");
  BuildLoad load(folder);
  EXPECT_FALSE(load.glance(10s).use) << "since when is not known";
  write("cpuacct.usage", "8000000000\n");
  const auto signs = load.glance(12s);
  ASSERT_TRUE(signs.use);
  EXPECT_DOUBLE_EQ(*signs.use, 1.5);
}

/// What /proc/stat says of CPUs that have been busy for so many ticks, each.
std::string stat_of(int busy) {
  std::string text;
  for (const int cpu : allowed_cpus()) {
    text += "cpu" + std::to_string(cpu) + " " + std::to_string(busy) + " 0 0 0 0 0 0 0 0 0\n";
  }
  return text + "procs_running 1\n";
}

TEST_F(BuildLoadTest, WithoutPressureIdleCpusTellThatNobodyWaits) {
  std::filesystem::create_directories(folder + "/proc");
  write("cpu.stat", "usage_usec 5000000\n");
  write("proc/stat", stat_of(0));
  BuildLoad load(folder, folder);
  (void)load.glance(10s);
  (void)load.glance(11s);  // the first that asks the machine
  const auto ticks = static_cast<int>(::sysconf(_SC_CLK_TCK));
  write("proc/stat", stat_of(ticks / 2));
  EXPECT_EQ(load.glance(12s).waiting, 0);
  write("proc/stat", stat_of(ticks / 2 + ticks));
  EXPECT_EQ(load.glance(13s).waiting, std::nullopt) << "all CPUs are in use: it is not known";
}

TEST_F(BuildLoadTest, WhatCannotBeReadIsLeftOut) {
  write("cpu.stat", "nonsense");
  BuildLoad load(folder);
  (void)load.glance(1s);
  EXPECT_FALSE(load.glance(2s).use);
  BuildLoad none("");
  (void)none.glance(1s);
  const auto signs = none.glance(2s);
  EXPECT_FALSE(signs.use);
  EXPECT_FALSE(signs.waiting);
}

TEST_F(BuildLoadTest, CountsRunnableThreadsWithoutThisOne) {
  BuildLoad load("");
  const auto signs = load.glance(1s);
  ASSERT_TRUE(signs.runnable);
  EXPECT_GE(*signs.runnable, 0);
}

}  // namespace
}  // namespace tokenpool::proc
