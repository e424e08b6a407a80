// The census with real processes. Time is what the test says; the CPU time that is burnt is real
// and measured by who burns it, so nothing here depends on how busy the machine is.
#include "proc/census.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proc/fork_bound.h"
#include "proc/process.h"
#include "proc/process_files.h"

namespace tokenpool::proc {
namespace {

using namespace std::chrono_literals;

void burn(clockid_t clock, double seconds) {
  const auto used = [clock] {
    timespec time{};
    ::clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
  };
  const double end = used() + seconds;
  while (used() < end) {
  }
}
void burn(double seconds) { burn(CLOCK_PROCESS_CPUTIME_ID, seconds); }

/// Everything in what follows runs on one CPU.
void share_one_cpu() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  ::sched_getaffinity(0, sizeof allowed, &allowed);
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++cpu) {
    if (CPU_ISSET(cpu, &allowed)) CPU_SET(cpu, &one);
  }
  ::sched_setaffinity(0, sizeof one, &one);
}

/// Does a step each time that it is told to, and says when it is done.
class Worker {
 public:
  using Step = std::function<void(int number)>;
  explicit Worker(const Step& step, const std::function<pid_t()>& make = fork_bound) {
    EXPECT_EQ(::pipe2(go_.data(), O_CLOEXEC), 0);
    EXPECT_EQ(::pipe2(done_.data(), O_CLOEXEC), 0);
    pid_ = make();
    if (pid_ != 0) return;
    ::close(go_[1]);
    char word = 0;
    for (int number = 0; ::read(go_[0], &word, 1) == 1; ++number) {
      step(number);
      if (::write(done_[1], &word, 1) != 1) break;
    }
    ::_exit(0);
  }
  ~Worker() {
    end();
    for (const int fd : {go_[0], go_[1], done_[0], done_[1]}) ::close(fd);
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void start() const { EXPECT_EQ(::write(go_[1], "g", 1), 1); }
  void wait() const {
    char word = 0;
    EXPECT_EQ(::read(done_[0], &word, 1), 1);
  }
  void step() const {
    start();
    wait();
  }
  void end() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  std::array<int, 2> go_{}, done_{};
  pid_t pid_ = 0;
};

/// As many as the kernel lists: a sanitizer has one of its own in each process.
int threads_of(pid_t pid) {
  const std::filesystem::directory_iterator tasks("/proc/" + std::to_string(pid) + "/task");
  return static_cast<int>(std::distance(begin(tasks), end(tasks)));
}

class CensusTest : public testing::Test {
 protected:
  CensusTest() { ::prctl(PR_SET_CHILD_SUBREAPER, 1); }
  ~CensusTest() override {
    // Orphans die with their parents, and are this process's now.
    while (::waitpid(-1, nullptr, 0) > 0) {
    }
    ::prctl(PR_SET_CHILD_SUBREAPER, 0);
  }

  /// One second after the walk before.
  const CensusSample& walk() {
    now += 1s;
    return sample = rates.look(census.walk(now));
  }
  [[nodiscard]] std::optional<CensusRow> row(pid_t pid) const {
    const auto found = std::find_if(sample.rows.begin(), sample.rows.end(),
                                    [pid](const CensusRow& row) { return row.who.pid == pid; });
    return found == sample.rows.end() ? std::nullopt : std::optional(*found);
  }

  /// CPU seconds in its life, and in those of the children it has waited for.
  [[nodiscard]] double used(pid_t pid) const {
    return row(pid)->use_seconds + row(pid)->reaped_seconds;
  }

  core::Instant now = 1000s;
  Census census{::getpid()};
  CensusRates rates;
  CensusSample sample;
};

// A clock tick is 10 ms, and every number is cut to whole ones.
constexpr double kNear = 0.045;

TEST_F(CensusTest, TellsWhoThereIs) {
  const Worker worker([](int) {});
  // A sanitizer's own thread may come up in the worker meanwhile.
  const int threads = threads_of(worker.pid());
  walk();
  EXPECT_EQ(sample.rows.front().who.pid, ::getpid());
  EXPECT_EQ(sample.interval, 0ns);
  EXPECT_GT(sample.cost, 0ns);
  const auto found = row(worker.pid());
  ASSERT_TRUE(found);
  EXPECT_EQ(found->who, read_process(worker.pid())->id);
  EXPECT_EQ(found->parent, ::getpid());
  EXPECT_EQ(found->name, read_process(worker.pid())->name);
  EXPECT_GE(found->threads, threads);
  EXPECT_LE(found->threads, threads_of(worker.pid()));
  EXPECT_GT(found->resident_bytes, 4096U);
  EXPECT_FALSE(row(::getppid())) << "a stranger";
  EXPECT_FALSE(row(1));
}

TEST_F(CensusTest, UseIsWhatRanSinceTheWalkBefore) {
  const Worker worker([](int number) { burn(number == 0 ? 0.3 : 0.15); });
  worker.step();
  walk();
  EXPECT_EQ(row(worker.pid())->use, 0) << "since when is not known";
  worker.step();
  EXPECT_EQ(walk().interval, 1s);
  EXPECT_NEAR(row(worker.pid())->use, 0.15, kNear);
  EXPECT_NEAR(used(worker.pid()), 0.45, kNear);
  walk();
  EXPECT_EQ(row(worker.pid())->use, 0);
  EXPECT_EQ(row(worker.pid())->delay, 0);
}

TEST_F(CensusTest, EachWhoLooksHasRatesSinceHisOwnLookBefore) {
  const Worker worker([](int) { burn(0.2); });
  walk();
  worker.step();
  walk();
  CensusRates seldom;
  (void)seldom.look(sample);
  worker.step();
  walk();
  EXPECT_NEAR(row(worker.pid())->use, 0.2, kNear);
  worker.step();
  walk();
  EXPECT_NEAR(row(worker.pid())->use, 0.2, kNear);
  sample = seldom.look(sample);
  EXPECT_EQ(sample.interval, 2s);
  EXPECT_NEAR(row(worker.pid())->use, 0.2, kNear) << "0.4 in two seconds";
  rates.forget();
  EXPECT_EQ(walk().interval, 0ns);
  EXPECT_EQ(row(worker.pid())->use, 0);
}

TEST_F(CensusTest, WhoCameSinceCountsFromItsBeginning) {
  walk();
  const Worker worker([](int) { burn(0.2); });
  worker.step();
  walk();
  EXPECT_NEAR(row(worker.pid())->use, 0.2, kNear);
}

TEST_F(CensusTest, DemandIsUseAndTheWaitForACpu) {
  const auto spin = [](int) {
    share_one_cpu();
    burn(0.2);
  };
  const Worker one(spin);
  const Worker other(spin);
  for (int round = 0; round < 2; ++round) {  // the first walk tells since when
    one.start();
    other.start();
    one.wait();
    other.wait();
    walk();
  }
  // Each waited while the other ran; strangers on the same CPU only add to it.
  EXPECT_GT(row(one.pid())->delay + row(other.pid())->delay, 0.15);
  EXPECT_NEAR(row(one.pid())->use, 0.2, kNear);
  EXPECT_DOUBLE_EQ(row(one.pid())->demand(),
                   row(one.pid())->use + row(one.pid())->delay + row(one.pid())->reaped);
}

TEST(CensusRowTest, WantsWhatItWouldUseIfItNeverWaited) {
  const auto wanted = [](double use, double delay, int threads = 1) {
    CensusRow row;
    row.threads = threads;
    row.use = use;
    row.delay = delay;
    return row.wanted();
  };
  EXPECT_DOUBLE_EQ(wanted(0, 0), 0);
  EXPECT_DOUBLE_EQ(wanted(0.5, 0), 0.5);
  EXPECT_NEAR(wanted(0.15, 0.85), 1, 1e-9) << "a spinner among seven";
  EXPECT_NEAR(wanted(0.15, 0.88), 1, 1e-9) << "measured twice, with two clocks";
  EXPECT_NEAR(wanted(0.6, 3.4, 9), 4, 1e-9) << "four of them";
  EXPECT_NEAR(wanted(0.01, 0.5), 0.02, 1e-9) << "one that looks now and then, and sleeps half";
  EXPECT_NEAR(wanted(0, 1), 1, 1e-9) << "nobody knows what it would have done";
  EXPECT_LE(wanted(0.5, 0.7), 1.2);
}

TEST_F(CensusTest, EveryThreadCounts) {
  walk();
  const Worker worker([](int) {
    share_one_cpu();
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([] { burn(CLOCK_THREAD_CPUTIME_ID, 0.1); });
    }
    for (auto& thread : threads) thread.join();
    // The dead threads have taken along how long they waited; these are still there.
    static std::vector<std::thread> kept;
    static std::array<int, 2> ready{};
    EXPECT_EQ(::pipe(ready.data()), 0);
    for (int i = 0; i < 3; ++i) {
      kept.emplace_back([] {
        burn(CLOCK_THREAD_CPUTIME_ID, 0.1);
        EXPECT_EQ(::write(ready[1], "r", 1), 1);
        ::pause();
      });
    }
    char word = 0;
    for (int i = 0; i < 3; ++i) EXPECT_EQ(::read(ready[0], &word, 1), 1);
  });
  worker.step();
  walk();
  EXPECT_EQ(row(worker.pid())->threads, threads_of(worker.pid()));
  EXPECT_GE(row(worker.pid())->threads, 4);
  EXPECT_NEAR(row(worker.pid())->use, 0.6, kNear);
  EXPECT_GT(row(worker.pid())->delay, 0.15) << "the first thread waited for none of it";
}

TEST_F(CensusTest, WhatTheDeadUsedCountsOnceForWhoWaitedForThem) {
  const Worker parent([](int number) {
    static std::optional<Worker> child;
    if (number == 0) child.emplace([](int) { burn(0.2); });
    child->step();
    if (number == 2) child->end();
  });
  walk();
  parent.step();
  walk();
  parent.step();
  walk();
  EXPECT_EQ(row(parent.pid())->reaped, 0);
  parent.step();
  walk();
  EXPECT_NEAR(row(parent.pid())->reaped, 0.2, kNear) << "0.4 was counted while it lived";
  EXPECT_NEAR(used(parent.pid()), 0.6, kNear);
  walk();
  EXPECT_EQ(row(parent.pid())->reaped, 0);
}

TEST_F(CensusTest, AnOrphanStaysInTheFamily) {
  std::array<int, 2> told{};
  ASSERT_EQ(::pipe(told.data()), 0);
  Worker parent([&told](int) {
    const pid_t orphan = ::fork();
    if (orphan == 0) {
      ::setsid();
      ::pause();
    }
    EXPECT_EQ(::write(told[1], &orphan, sizeof orphan), static_cast<ssize_t>(sizeof orphan));
  });
  parent.step();
  pid_t orphan = 0;
  ASSERT_EQ(::read(told[0], &orphan, sizeof orphan), static_cast<ssize_t>(sizeof orphan));
  walk();
  EXPECT_EQ(row(orphan)->parent, parent.pid());
  parent.end();
  walk();
  ASSERT_TRUE(row(orphan));
  EXPECT_EQ(row(orphan)->parent, ::getpid());
  ::kill(orphan, SIGKILL);
  ::waitpid(orphan, nullptr, 0);
  walk();
  EXPECT_FALSE(row(orphan));
  for (const int fd : told) ::close(fd);
}

TEST_F(CensusTest, TheExemptAndItsChildrenAreLeftOut) {
  std::array<int, 2> told{};
  ASSERT_EQ(::pipe(told.data()), 0);
  const Worker exempt([&told](int) {
    const pid_t child = fork_bound();
    if (child == 0) ::pause();
    EXPECT_EQ(::write(told[1], &child, sizeof child), static_cast<ssize_t>(sizeof child));
  });
  exempt.step();
  pid_t child = 0;
  ASSERT_EQ(::read(told[0], &child, sizeof child), static_cast<ssize_t>(sizeof child));
  Census other(::getpid(), exempt.pid());
  for (int round = 0; round < 2; ++round) {
    now += 1s;
    sample = other.walk(now);
    EXPECT_TRUE(row(::getpid()));
    EXPECT_FALSE(row(exempt.pid()));
    EXPECT_FALSE(row(child));
  }
  walk();
  EXPECT_TRUE(row(child)) << "for a census without exemption";
  for (const int fd : told) ::close(fd);
}

TEST_F(CensusTest, ThoseThatVanishWhileTheyAreReadDoNoHarm) {
  const Worker busy([](int) {
    for (int i = 0; i < 8; ++i) {
      if (::fork() == 0) ::_exit(0);
    }
    while (::waitpid(-1, nullptr, 0) > 0) {
    }
  });
  walk();
  std::size_t seen = 0;
  // A child lives for a moment only, so that it may take more looks until one is met.
  for (int i = 0; i < 20 || (seen == 0 && i < 2000); ++i) {
    busy.start();
    for (const CensusRow& row : walk().rows) {
      seen += row.parent == busy.pid() ? 1 : 0;
      EXPECT_GE(row.use, 0);
      EXPECT_LE(row.use, 100);
    }
    EXPECT_TRUE(row(busy.pid()));
    busy.wait();
  }
  EXPECT_GT(seen, 0U);
  walk();
  EXPECT_EQ(std::count_if(sample.rows.begin(), sample.rows.end(),
                          [&](const CensusRow& row) { return row.parent == busy.pid(); }),
            0);
  EXPECT_LE(census.open_files(), sample.rows.size());
}

/// A child with a pid of our choice (CAP_CHECKPOINT_RESTORE); -1 where that is not allowed.
pid_t fork_as(pid_t pid) {
  clone_args arguments{};
  arguments.exit_signal = SIGCHLD;
  arguments.set_tid = reinterpret_cast<std::uintptr_t>(&pid);
  arguments.set_tid_size = 1;
  return static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
}

TEST_F(CensusTest, ThePidsNextOwnerIsSomebodyElse) {
  Worker first([](int) { burn(0.3); });
  const pid_t pid = first.pid();
  walk();
  walk();  // from now on its file is open
  first.step();
  walk();
  EXPECT_NEAR(row(pid)->use, 0.3, kNear);
  const auto id = row(pid)->who;
  first.end();
  const Worker next([](int) { burn(0.1); }, [pid] { return fork_as(pid); });
  if (next.pid() < 0) GTEST_SKIP() << "no right to choose a pid";
  ASSERT_EQ(next.pid(), pid);
  next.step();
  walk();
  ASSERT_TRUE(row(pid));
  EXPECT_EQ(row(pid)->who.pid, id.pid);
  EXPECT_NE(row(pid)->who.start, id.start);
  EXPECT_NEAR(row(pid)->use, 0.1, kNear);
}

TEST_F(CensusTest, APidNamespaceBelowIsSeenAsAnyOther) {
  const Worker worker(
      [](int number) {
        if (number == 0) {
          EXPECT_EQ(::getpid(), 1);
        }
        burn(0.2);
      },
      [] {
        clone_args arguments{};
        arguments.exit_signal = SIGCHLD;
        arguments.flags = CLONE_NEWPID;
        return static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
      });
  if (worker.pid() < 0) GTEST_SKIP() << "no right to make a pid namespace";
  worker.step();
  walk();
  worker.step();
  walk();
  EXPECT_NEAR(row(worker.pid())->use, 0.2, kNear);
}

TEST_F(CensusTest, WithAnotherNamespacesProcItTellsNothing) {
  clone_args arguments{};
  arguments.exit_signal = SIGCHLD;
  arguments.flags = CLONE_NEWPID;
  const auto child = static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
  if (child < 0) GTEST_SKIP() << "no right to make a pid namespace";
  if (child == 0) {
    Census inside(::getpid());
    ::_exit(inside.walk(1s).rows.empty() ? 7 : 8);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

TEST_F(CensusTest, KeepsOpenWhatIsReadAgainAndNoMore) {
  std::vector<std::unique_ptr<Worker>> workers;
  for (int i = 0; i < 40; ++i) workers.push_back(std::make_unique<Worker>([](int) {}));
  walk();
  EXPECT_EQ(census.open_files(), 0U);
  walk();
  EXPECT_GE(census.open_files(), 40U);
  workers.clear();
  walk();
  EXPECT_LT(census.open_files(), 40U);

  rlimit usual{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &usual), 0);
  const rlimit tight{256, usual.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
  Census frugal(::getpid());
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &usual), 0);
  for (int i = 0; i < 40; ++i) workers.push_back(std::make_unique<Worker>([](int) {}));
  for (int i = 0; i < 3; ++i) sample = frugal.walk(now += 1s);
  EXPECT_EQ(frugal.open_files(), 32U);
  EXPECT_TRUE(row(workers.back()->pid()));
  frugal.forget();
  EXPECT_EQ(frugal.open_files(), 0U);
}

TEST(ParseStatTest, ReadsALine) {
  const std::string line =
      "42 (cc1plus) R 7 42 1 0 -1 4194304 1 2 3 4 11 22 33 44 20 0 5 0 987654 1000 77 18446744073";
  const auto stat = parse_stat(42, line);
  ASSERT_TRUE(stat);
  EXPECT_EQ(*stat, (ProcessStat{{42, 987654}, 7, 'R', "cc1plus", 5, 33, 77, 77}));
}

TEST(ParseStatTest, ANameMayHoldAnything) {
  const auto stat = parse_stat(
      1, "1 (a) R 9 (b) S 3 1 1 0 -1 0 0 0 0 0 1 2 3 4 20 0 1 0 5 1000 6 18446744073709551615 1");
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->name, "a) R 9 (b");
  EXPECT_EQ(stat->parent, 3);
}

TEST(ParseStatTest, WhatIsNoLineIsNothing) {
  for (const char* line :
       {"", "1", "1 (", "1 (a)", "1 (a) R", "1 (a) R 1 2 3", ")(", "1 )a( R 1"}) {
    EXPECT_FALSE(parse_stat(1, line)) << line;
  }
}

}  // namespace
}  // namespace tokenpool::proc
