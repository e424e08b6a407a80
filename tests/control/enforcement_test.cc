#include "control/enforcement.h"

#include <gtest/gtest.h>

namespace tokenpool::control {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Pids = std::vector<std::int32_t>;

constexpr std::int32_t kFront = 1;
constexpr std::int32_t kMake = 2;

// A make with jobs, and whoever plays the kernel.
class EnforcementTest : public testing::Test {
 protected:
  EnforcementTest() {
    add(kFront, 0, "tokenpool");
    add(kMake, kFront, "make");
  }
  TreeProcess& add(std::int32_t pid, std::int32_t parent, const std::string& name) {
    sample.processes.push_back({.who = {pid, static_cast<std::uint64_t>(pid)},
                                .parent = parent,
                                .group = kMake,
                                .name = name});
    return sample.processes.back();
  }
  /// Jobs 11, 12 ... of which each uses a slot.
  void add_jobs(int count) {
    for (int i = 1; i <= count; ++i) add(10 + i, kMake, "cc1");
    sample.in_use = count;
    sample.front = kFront;
  }
  TreeProcess& at(std::int32_t pid) {
    for (TreeProcess& process : sample.processes) {
      if (process.who.pid == pid) return process;
    }
    std::abort();
  }
  void end(std::int32_t pid) {
    std::erase_if(sample.processes, [&](const auto& one) { return one.who.pid == pid; });
  }
  EnforcementStep step(core::Instant after = milliseconds(250)) {
    now += after;
    EnforcementStep did = law.step(sample, now);
    for (const core::ProcessId who : did.thaw) {
      for (TreeProcess& process : sample.processes) {
        if (process.who == who) process.stopped = false;
      }
    }
    for (const auto& job : did.freeze) {
      for (const core::ProcessId who : job) at(who.pid).stopped = true;
    }
    return did;
  }
  Pids frozen() const {
    Pids pids;
    for (const TreeProcess& process : sample.processes) {
      if (process.stopped) pids.push_back(process.who.pid);
    }
    return pids;
  }
  /// As many steps as it takes until withholding had its time.
  Pids after_a_while() {
    for (int i = 0; i < 6; ++i) (void)step();
    return frozen();
  }

  EnforcementSample sample;
  Enforcement law;
  core::Instant now = seconds(100);
};

TEST_F(EnforcementTest, YoungestStandStill) {
  add_jobs(4);
  sample.allowed = 2;
  EXPECT_EQ(after_a_while(), (Pids{13, 14}));
  EXPECT_EQ(law.frozen_jobs(), 2U);
}

TEST_F(EnforcementTest, NobodyWhileSlotsSuffice) {
  add_jobs(4);
  sample.allowed = 4;
  EXPECT_EQ(after_a_while(), Pids{});
}

TEST_F(EnforcementTest, WithholdingComesFirst) {
  add_jobs(4);
  sample.allowed = 1;
  for (; sample.in_use > 1; --sample.in_use) {
    for (int i = 0; i < 4; ++i) EXPECT_EQ(step().freeze.size(), 0U);
  }
}

TEST_F(EnforcementTest, OldestAlwaysRuns) {
  add_jobs(3);
  sample.allowed = 0;
  EXPECT_EQ(after_a_while(), (Pids{12, 13}));
}

TEST_F(EnforcementTest, OldestOfThoseThatAreLeftGoesOn) {
  add_jobs(3);
  sample.allowed = 1;
  (void)after_a_while();
  end(11);  // make starts another job in its place
  add(20, kMake, "cc1");
  (void)step();
  EXPECT_EQ(frozen(), (Pids{13, 20}));
}

TEST_F(EnforcementTest, ThawedInTheOrderOfTheirStart) {
  add_jobs(4);
  sample.allowed = 1;
  EXPECT_EQ(after_a_while(), (Pids{12, 13, 14}));
  sample.allowed = 2;
  (void)step();
  EXPECT_EQ(frozen(), (Pids{13, 14}));
  sample.in_use = 3;
  end(11);
  (void)step();
  EXPECT_EQ(frozen(), (Pids{14}));
  sample.allowed = 4;
  (void)step();
  EXPECT_EQ(frozen(), Pids{});
}

TEST_F(EnforcementTest, ThawedInTheOrderOfTheirStartAlsoWherePidsBeginAnew) {
  add_jobs(0);
  for (const std::int32_t pid : {93, 12, 11}) {
    add(pid, kMake, "cc1").who.start = static_cast<std::uint64_t>(200 - pid);
  }
  sample.in_use = 3;
  sample.allowed = 1;
  EXPECT_EQ(after_a_while(), (Pids{12, 11}));
  sample.allowed = 2;
  (void)step();
  EXPECT_EQ(frozen(), Pids{11});
}

TEST_F(EnforcementTest, NotFrozenAndThawedInTurns) {
  add_jobs(2);
  int freezes = 0;
  core::Instant until = now + 3 * kTurn;
  for (bool few = true; now < until; few = !few) {
    sample.allowed = few ? 1 : 2;
    for (int i = 0; i < 6; ++i) freezes += static_cast<int>(step().freeze.size());
  }
  EXPECT_GE(freezes, 2);
  EXPECT_LE(freezes, 3);
}

TEST_F(EnforcementTest, AnotherTakesItsPlaceAfterAMinute) {
  add_jobs(4);
  sample.allowed = 3;
  EXPECT_EQ(after_a_while(), Pids{14});
  (void)step(kMaxFrozen);
  EXPECT_EQ(frozen(), Pids{13});
  (void)step();
  (void)step(kMaxFrozen);
  EXPECT_EQ(frozen(), Pids{12});
  (void)step();
  (void)step(kMaxFrozen);
  EXPECT_EQ(frozen(), Pids{14});
}

TEST_F(EnforcementTest, RunsForATurnWhereNobodyTakesItsPlace) {
  add_jobs(2);
  sample.allowed = 1;
  EXPECT_EQ(after_a_while(), Pids{12});
  (void)step(kMaxFrozen);
  EXPECT_EQ(frozen(), Pids{});
  (void)step(kTurn - milliseconds(1));
  EXPECT_EQ(frozen(), Pids{});
  (void)step(milliseconds(1));
  EXPECT_EQ(frozen(), Pids{12});
}

TEST_F(EnforcementTest, WhoHasASignalIsThawed) {
  add_jobs(2);
  sample.allowed = 1;
  (void)after_a_while();
  at(12).signalled = true;
  EXPECT_EQ(step().thaw, (std::vector<core::ProcessId>{{12, 12}}));
}

TEST_F(EnforcementTest, ContinuedByTheUserIsLeftRunning) {
  add_jobs(2);
  sample.allowed = 1;
  (void)after_a_while();
  at(12).stopped = false;
  EXPECT_EQ(step().thaw, (std::vector<core::ProcessId>{{12, 12}}));
  EXPECT_EQ(after_a_while(), Pids{});
}

TEST_F(EnforcementTest, OneThatWaitsForADiskStopsLater) {
  add_jobs(2);
  sample.allowed = 1;
  while (frozen().empty()) (void)step();
  at(12).stopped = false;
  at(12).blocked = true;
  EXPECT_EQ(step(2 * kEnforceAfter).thaw.size(), 0U);
  EXPECT_EQ(law.frozen_jobs(), 1U);
}

TEST_F(EnforcementTest, ContinuedBeforeItWasSeenToStop) {
  add_jobs(2);
  sample.allowed = 1;
  while (frozen().empty()) (void)step();
  at(12).stopped = false;
  EXPECT_EQ(step(kEnforceAfter - milliseconds(1)).thaw.size(), 0U);
  EXPECT_EQ(step(milliseconds(1)).thaw.size(), 1U);
}

TEST_F(EnforcementTest, StoppedByTheUserIsNotOurs) {
  add_jobs(4);
  at(13).stopped = true;
  sample.allowed = 2;
  EXPECT_EQ(after_a_while(), (Pids{13, 14}));
  EXPECT_EQ(law.frozen_jobs(), 1U);
  sample.allowed = 4;
  EXPECT_EQ(after_a_while(), Pids{13});
}

TEST_F(EnforcementTest, NobodyGoesOnWhileTheBuildIsStopped) {
  add_jobs(3);
  sample.allowed = 1;
  (void)after_a_while();
  for (TreeProcess& process : sample.processes) process.stopped = true;
  sample.allowed = 3;
  EXPECT_EQ(step(kMaxFrozen).thaw.size(), 0U);
  for (TreeProcess& process : sample.processes) process.stopped = false;  // fg
  (void)step();
  EXPECT_EQ(law.frozen_jobs(), 0U);
}

TEST_F(EnforcementTest, OrphanIsThawed) {
  add_jobs(2);
  sample.allowed = 1;
  (void)after_a_while();
  at(12).parent = kFront;
  EXPECT_EQ(step().thaw, (std::vector<core::ProcessId>{{12, 12}}));
}

TEST_F(EnforcementTest, WhoHasEndedIsTakenOffTheList) {
  add_jobs(2);
  sample.allowed = 1;
  (void)after_a_while();
  end(12);
  EXPECT_EQ(step().thaw, (std::vector<core::ProcessId>{{12, 12}}));
  EXPECT_EQ(law.frozen_jobs(), 0U);
}

TEST_F(EnforcementTest, WhoCannotBeFrozenIsLeftAlone) {
  add_jobs(2);
  sample.allowed = 1;
  EnforcementStep did;
  while (did.freeze.empty()) did = step();
  law.give_up(did.freeze.front().front(), now);
  at(12).stopped = false;
  EXPECT_EQ(after_a_while(), Pids{});
}

TEST_F(EnforcementTest, JobOfSeveralProcessesIsOne) {
  add_jobs(2);
  add(30, kMake, "gcc");
  add(31, 30, "cc1");
  add(32, 30, "as");
  sample.in_use = 3;
  sample.allowed = 2;
  EXPECT_EQ(after_a_while(), (Pids{31, 32}));
  EXPECT_EQ(law.frozen_jobs(), 1U);
  sample.allowed = 3;
  EXPECT_EQ(step().thaw.size(), 2U);
}

TEST_F(EnforcementTest, WideJobCountsForItsSlots) {
  add_jobs(2);
  TreeProcess& launcher = add(30, kMake, "tokenpool-exec");
  launcher.coordinates = true;
  launcher.slots = 3;
  add(31, 30, "lto1");
  sample.in_use = 5;
  sample.allowed = 2;
  EXPECT_EQ(after_a_while(), (Pids{31}));
}

TEST_F(EnforcementTest, SlotsThatRunNothingFreezeNobody) {
  add_jobs(2);
  sample.in_use = 4;
  sample.allowed = 2;
  EXPECT_EQ(after_a_while(), Pids{});
}

// --- which jobs may be frozen ---

class JobTreeTest : public EnforcementTest {
 protected:
  JobTreeTest() { add(11, kMake, "cc1"); }
  /// Whether the job to which `pid` belongs may be.
  bool may_be_frozen(std::int32_t pid) {
    for (const TreeJob& job : jobs_of(sample.processes, kFront)) {
      for (const core::ProcessId leaf : job.leaves) {
        if (leaf.pid == pid) return job.freezable;
      }
    }
    return false;
  }
};

TEST_F(JobTreeTest, CompilersMay) {
  for (const char* name : {"cc1", "cc1plus", "ld", "clang", "javac", "job"}) {
    add(12, kMake, name);
    EXPECT_TRUE(may_be_frozen(12)) << name;
    end(12);
  }
}

TEST_F(JobTreeTest, WhoStartsOthersOrMayHoldLocksMayNot) {
  for (const char* name : {"make", "ninja", "cargo", "sh", "bash", "ccache", "flock", "python3.11",
                           "tokenpool", "tokenpool-exec", "java", "git"}) {
    add(12, kMake, name);
    EXPECT_FALSE(may_be_frozen(12)) << name;
    end(12);
  }
}

TEST_F(JobTreeTest, ClientsAndWhoWaitsForALeaseMayNot) {
  add(12, kMake, "rustc").coordinates = true;
  EXPECT_FALSE(may_be_frozen(12));
  TreeProcess& launcher = add(13, kMake, "cc");
  launcher.coordinates = true;
  launcher.waits = true;
  EXPECT_EQ(jobs_of(sample.processes, kFront).size(), 2U);
  add(14, 13, "cc");
  EXPECT_EQ(jobs_of(sample.processes, kFront).size(), 2U);
}

TEST_F(JobTreeTest, BelowALockOrADebuggerNobodyMay) {
  for (const char* name : {"flock", "sudo", "gdb"}) {
    add(12, kMake, name);
    add(13, 12, "cc1");
    EXPECT_FALSE(may_be_frozen(13)) << name;
    end(12);
    end(13);
  }
}

TEST_F(JobTreeTest, JobOfAJobControlShellMayNot) {
  add(12, kMake, "bash");
  add(13, 12, "cc1").group = 13;
  EXPECT_FALSE(may_be_frozen(13));
  at(13).group = kMake;
  EXPECT_TRUE(may_be_frozen(13));
}

TEST_F(JobTreeTest, NinjaGivesEachJobAGroup) {
  add(12, kMake, "ninja");
  add(13, 12, "cc1").group = 13;
  EXPECT_TRUE(may_be_frozen(13));
}

TEST_F(JobTreeTest, CommandItselfMayNot) {
  EnforcementSample alone;
  alone.processes = {{.who = {5, 5}, .parent = kFront, .group = 5, .name = "cc1"}};
  ASSERT_EQ(jobs_of(alone.processes, kFront).size(), 1U);
  EXPECT_FALSE(jobs_of(alone.processes, kFront).front().freezable);
}

TEST_F(JobTreeTest, OrphansAndTheUncooperativeAreNoJobs) {
  add(12, kFront, "sccache");
  add(13, 12, "cc1");
  add(14, kMake, "xargs").uncooperative = true;
  add(15, 14, "cc1");
  EXPECT_EQ(jobs_of(sample.processes, kFront).size(), 1U);
}

TEST_F(JobTreeTest, CircleEnds) {
  add(20, 21, "cc1");
  add(21, 20, "cc1");
  add(22, 21, "cc1");
  EXPECT_EQ(jobs_of(sample.processes, kFront).size(), 1U);
}

}  // namespace
}  // namespace tokenpool::control
