#include "proc/build_load.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

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

TEST_F(BuildLoadTest, WhatCannotBeReadIsLeftOut) {
  write("cpu.stat", "nonsense");
  BuildLoad load(folder);
  (void)load.glance(1s);
  const auto signs = load.glance(2s);
  EXPECT_FALSE(signs.use);
  EXPECT_FALSE(signs.waiting);
  BuildLoad none("");
  EXPECT_FALSE(none.glance(1s).use);
}

TEST_F(BuildLoadTest, CountsRunnableThreadsWithoutThisOne) {
  BuildLoad load("");
  const auto signs = load.glance(1s);
  ASSERT_TRUE(signs.runnable);
  EXPECT_GE(*signs.runnable, 0);
}

}  // namespace
}  // namespace tokenpool::proc
