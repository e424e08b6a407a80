#include "proc/load_meter.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <stdlib.h>

namespace tokenpool::proc {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

/// A tree with /proc and /sys as some machine would show them. A tick is 10 ms.
class FakeLoad : public ::testing::Test {
 protected:
  FakeLoad() {
    std::string name = (fs::temp_directory_path() / "tokenpool-load-XXXXXX").string();
    root_ = mkdtemp(name.data());
  }
  ~FakeLoad() override { fs::remove_all(root_); }

  /// Into the file that is there, if one is: the meter keeps it open.
  void file(const std::string& path, const std::string& text) const {
    fs::create_directories(fs::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  /// `ticks`: of user, nice, system, idle, iowait, irq, softirq, steal, guest for each CPU.
  void stat(const std::vector<std::string>& cpus, int running) const {
    std::string text = "cpu  999999 0 0 0 0 0 0 0 0 0\n";
    for (std::size_t i = 0; i < cpus.size(); ++i) {
      text += "cpu" + std::to_string(i) + " " + cpus[i] + "\n";
    }
    file("/proc/stat", text + "intr 1 2 3\nctxt 4\nbtime 5\nprocesses 6\nprocs_running " +
                           std::to_string(running) + "\nprocs_blocked 0\n");
  }
  void v2(const std::string& group) const {
    file("/proc/self/cgroup", "0::" + group + "\n");
    file("/proc/self/mountinfo",
         "30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n");
  }
  static LoadMeter meter(const std::string& root, std::vector<int> cpus = {0, 1}) {
    return {root, std::move(cpus), root + "/own"};
  }

  std::string root_;
};

TEST_F(FakeLoad, FirstReadingTellsNothing) {
  stat({"0 0 0 0 0 0 0 0 0 0", "0 0 0 0 0 0 0 0 0 0"}, 1);
  LoadMeter meter = FakeLoad::meter(root_);
  EXPECT_FALSE(meter.read(milliseconds(0)));
  EXPECT_FALSE(meter.read(milliseconds(0)));
  EXPECT_TRUE(meter.read(milliseconds(250)));
}

TEST_F(FakeLoad, WithoutProcNothingIsTold) {
  LoadMeter meter = FakeLoad::meter(root_);
  EXPECT_FALSE(meter.read(milliseconds(0)));
  EXPECT_FALSE(meter.read(milliseconds(250)));
}

TEST_F(FakeLoad, TheDiskIsThatOfTheGroupOrOfTheMachine) {
  const auto stall = [&](const std::string& path, int full_us) {
    file(path,
         "some avg10=9.00 avg60=9.00 avg300=9.00 total=900000000\n"
         "full avg10=0.00 avg60=0.00 avg300=0.00 total=" +
             std::to_string(full_us) + "\n");
  };
  stat({"0 0 0 0 0 0 0 0 0 0", "0 0 0 0 0 0 0 0 0 0"}, 1);
  stall("/proc/pressure/io", 1'000'000);
  stall("/own/io.pressure", 5'000'000);
  LoadMeter meter = FakeLoad::meter(root_);
  (void)meter.read(milliseconds(0));
  stall("/proc/pressure/io", 1'100'000);
  stall("/own/io.pressure", 5'600'000);
  EXPECT_NEAR(meter.read(milliseconds(1000))->disk_stall, 0.6, 1e-9);
  stall("/proc/pressure/io", 1'400'000);
  EXPECT_NEAR(meter.read(milliseconds(2000))->disk_stall, 0.3, 1e-9);
  stall("/proc/pressure/io", 9'400'000);
  EXPECT_EQ(meter.read(milliseconds(3000))->disk_stall, 1);
}

TEST_F(FakeLoad, WithoutPressureTheDiskIsFree) {
  stat({"0 0 0 0 0 0 0 0 0 0", "0 0 0 0 0 0 0 0 0 0"}, 1);
  file("/proc/pressure/io", "some avg10=9.00 total=1\n");
  LoadMeter meter = FakeLoad::meter(root_);
  (void)meter.read(milliseconds(0));
  EXPECT_EQ(meter.read(milliseconds(1000))->disk_stall, 0);
}

TEST_F(FakeLoad, UseIsWhatIsNeitherIdleNorStolen) {
  stat({"10 10 10 10 10 10 10 10 10 0", "0 0 0 0 0 0 0 0 0 0"}, 1);
  LoadMeter meter = FakeLoad::meter(root_);
  (void)meter.read(milliseconds(0));
  // 50 ticks of the first CPU in use, 20 idle, 30 stolen; guests are in user already.
  stat({"20 20 20 20 20 20 20 40 20 0", "0 0 0 100 0 0 0 0 0 0"}, 1);
  const auto load = meter.read(milliseconds(1000));
  ASSERT_TRUE(load);
  EXPECT_NEAR(load->use, 0.5, 1e-9);
  EXPECT_NEAR(load->capacity, 1.7, 1e-9);
  EXPECT_EQ(load->delay, 0);
  EXPECT_FALSE(load->own);
}

TEST_F(FakeLoad, CapacityNeverIsNothing) {
  stat({"0 0 0 0 0 0 0 0 0 0"}, 1);
  LoadMeter meter = FakeLoad::meter(root_, {0});
  (void)meter.read(milliseconds(0));
  stat({"0 0 0 0 0 0 0 100 0 0"}, 1);
  EXPECT_GT(meter.read(milliseconds(1000))->capacity, 0);
}

TEST_F(FakeLoad, RunnableThreadsBeyondBusyCpusWait) {
  stat({"0 0 0 0 0 0 0 0 0 0", "0 0 0 0 0 0 0 0 0 0"}, 1);
  LoadMeter meter = FakeLoad::meter(root_);
  (void)meter.read(milliseconds(0));
  stat({"100 0 0 0 0 0 0 0 0 0", "100 0 0 0 0 0 0 0 0 0"}, 8);
  EXPECT_NEAR(meter.read(milliseconds(1000))->delay, 5, 1e-9);  // one of the eight is the reader
}

TEST_F(FakeLoad, OnlyOurCpusCount) {
  stat({"0 0 0 0 0 0 0 0 0 0", "0 0 0 0 0 0 0 0 0 0"}, 1);
  LoadMeter meter = FakeLoad::meter(root_, {1});
  (void)meter.read(milliseconds(0));
  stat({"100 0 0 0 0 0 0 0 0 0", "25 0 0 75 0 0 0 0 0 0"}, 5);
  const auto load = meter.read(milliseconds(1000));
  EXPECT_NEAR(load->use, 0.25, 1e-9);
  EXPECT_NEAR(load->capacity, 1, 1e-9);
  EXPECT_NEAR(load->delay, (4 - 1.25) / 2, 1e-9);
}

TEST_F(FakeLoad, RunDelayIsTakenWhereThereIsOne) {
  const auto schedstat = [this](const std::string& first, const std::string& second) {
    file("/proc/schedstat", "version 17\ntimestamp 1\ncpu0 0 0 0 0 0 0 9 " + first +
                                " 3\ndomain0 MC 3 1 2\ncpu1 0 0 0 0 0 0 9 " + second + " 3\n");
  };
  stat({"0 0 0 0 0 0 0 0 0 0", "0 0 0 0 0 0 0 0 0 0"}, 50);
  schedstat("1000000000", "5000000000");
  LoadMeter meter = FakeLoad::meter(root_);
  (void)meter.read(milliseconds(0));
  schedstat("1500000000", "6000000000");
  EXPECT_NEAR(meter.read(milliseconds(500))->delay, 3, 1e-9);
}

TEST_F(FakeLoad, TheTightestQuotaBounds) {
  v2("/a/b");
  stat({"0 0 0 0 0 0 0 0 0 0", "0 0 0 0 0 0 0 0 0 0"}, 1);
  file("/sys/fs/cgroup/a/cpu.max", "150000 100000\n");
  file("/sys/fs/cgroup/a/cpu.stat", "usage_usec 1000000\nuser_usec 1\nthrottled_usec 10\n");
  file("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
  LoadMeter meter = FakeLoad::meter(root_);
  (void)meter.read(milliseconds(0));
  stat({"40 0 0 60 0 0 0 0 0 0", "40 0 0 60 0 0 0 0 0 0"}, 1);
  file("/sys/fs/cgroup/a/cpu.stat", "usage_usec 1600000\nuser_usec 1\nthrottled_usec 250010\n");
  auto load = meter.read(milliseconds(1000));
  EXPECT_NEAR(load->use, 0.6, 1e-9);
  EXPECT_NEAR(load->capacity, 1.5, 1e-9);
  EXPECT_NEAR(load->delay, 0.25, 1e-9);
  // The quota is lifted: what is left is the machine.
  file("/sys/fs/cgroup/a/cpu.max", "max    100000\n");
  load = meter.read(milliseconds(2000));
  EXPECT_NEAR(load->capacity, 2, 1e-9);
}

TEST_F(FakeLoad, QuotasOfVersionOne) {
  file("/proc/self/cgroup", "2:cpuacct:/a\n1:cpu:/a\n0::/\n");
  file("/proc/self/mountinfo",
       "31 22 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
       "32 22 0:28 / /sys/fs/cgroup/cpuacct rw - cgroup cgroup rw,cpuacct\n");
  stat({"0 0 0 0 0 0 0 0 0 0", "0 0 0 0 0 0 0 0 0 0"}, 1);
  file("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "50000\n");
  file("/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
  file("/sys/fs/cgroup/cpu/a/cpu.stat", "nr_periods 1\nthrottled_time 0\n");
  file("/sys/fs/cgroup/cpuacct/a/cpuacct.usage", "0\n");
  LoadMeter meter = FakeLoad::meter(root_);
  (void)meter.read(milliseconds(0));
  file("/sys/fs/cgroup/cpu/a/cpu.stat", "nr_periods 1\nthrottled_time 2000000000\n");
  file("/sys/fs/cgroup/cpuacct/a/cpuacct.usage", "400000000\n");
  const auto load = meter.read(milliseconds(1000));
  EXPECT_NEAR(load->use, 0.4, 1e-9);
  EXPECT_NEAR(load->capacity, 0.5, 1e-9);
  EXPECT_NEAR(load->delay, 2, 1e-9);
}

TEST_F(FakeLoad, OwnUse) {
  stat({"0 0 0 0 0 0 0 0 0 0"}, 1);
  file("/own/cpu.stat", "usage_usec 1000000\nuser_usec 0\n");
  LoadMeter meter = FakeLoad::meter(root_);
  (void)meter.read(milliseconds(0));
  file("/own/cpu.stat", "usage_usec 1500000\nuser_usec 0\n");
  EXPECT_NEAR(meter.read(milliseconds(1000))->own.value(), 0.5, 1e-9);
}

TEST_F(FakeLoad, AMachineThatTellsMuch) {
  std::vector<std::string> cpus(500, "0 0 0 0 0 0 0 0 0 0");
  stat(cpus, 1);
  LoadMeter meter = FakeLoad::meter(root_, {0, 499});
  (void)meter.read(milliseconds(0));
  cpus[499] = "100 0 0 0 0 0 0 0 0 0";
  stat(cpus, 1);
  EXPECT_NEAR(meter.read(milliseconds(1000))->use, 1, 1e-9);
}

TEST(Load, OfThisMachine) {
  const auto cpus = allowed_cpus();
  ASSERT_FALSE(cpus.empty());
  LoadMeter meter("", cpus, "");
  EXPECT_FALSE(meter.read(milliseconds(0)));
  const auto load = meter.read(milliseconds(250));
  ASSERT_TRUE(load);
  EXPECT_GT(load->capacity, 0);
  EXPECT_LE(load->capacity, static_cast<double>(cpus.size()));
}

}  // namespace
}  // namespace tokenpool::proc
