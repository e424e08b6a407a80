// One test per sentence of the law in control/billing.h. The labelled traces are in
// billing_traces_test.cc.
#include "control/billing.h"

#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/limits.h"

namespace tokenpool::control {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr std::int32_t kRoot = 1;
constexpr std::int32_t kCommand = 10;

class BillingTest : public testing::Test {
 protected:
  /// Who demands that much from now on, and has used enough; its pid is its start time.
  void has(std::int32_t pid, std::int32_t parent, double demand, double reaped = 0) {
    gone(pid);
    sample.loads.push_back({id(pid), parent, demand, reaped, kLeastUse});
  }
  void has_used(std::int32_t pid, double seconds) {
    for (ProcessLoad& load : sample.loads) {
      if (load.who.pid == pid) load.used = seconds;
    }
  }
  void gone(std::int32_t pid) {
    std::erase_if(sample.loads, [pid](const ProcessLoad& load) { return load.who.pid == pid; });
  }
  void holds(std::int32_t pid, int slots, bool client = true) {
    holds_nothing(pid);
    sample.holdings.push_back({id(pid), slots, client});
  }
  void holds_nothing(std::int32_t pid) {
    std::erase_if(sample.holdings, [pid](const Holding& held) { return held.who.pid == pid; });
  }
  std::vector<std::int32_t> step(int times = 1) {
    std::vector<std::int32_t> named;
    for (int i = 0; i < times; ++i) billing.step(sample, now += kBillingStep);
    for (const Accusation& accusation : billing.accused()) named.push_back(accusation.who.pid);
    return named;
  }
  static core::ProcessId id(std::int32_t pid) { return {pid, static_cast<std::uint64_t>(pid)}; }

  core::Instant now = 5s;
  Billing billing;
  BillingSample sample{.root = kRoot, .loads = {}, .holdings = {}, .loose = 0};
};

TEST_F(BillingTest, TheCommandHasTheImplicitSlot) {
  has(kCommand, kRoot, 1);
  EXPECT_THAT(step(40), IsEmpty());
  EXPECT_FALSE(billing.is_suspicious());
}

TEST_F(BillingTest, ThreeTimesInARowAccuses) {
  has(kCommand, kRoot, 4);
  EXPECT_THAT(step(2), IsEmpty());
  EXPECT_TRUE(billing.is_suspicious());
  EXPECT_EQ(billing.withheld(), 0);
  EXPECT_THAT(step(1), ElementsAre(kCommand));
  EXPECT_EQ(billing.accused(), (std::vector<Accusation>{{id(kCommand), 3, now}}));
  EXPECT_EQ(billing.withheld(), 3);
}

TEST_F(BillingTest, ABurstOfASecondAccusesNobody) {
  for (int round = 0; round < 20; ++round) {
    has(kCommand, kRoot, 16);
    EXPECT_THAT(step(2), IsEmpty());
    has(kCommand, kRoot, 0.5);
    EXPECT_THAT(step(6), IsEmpty());
  }
}

TEST_F(BillingTest, NorDoesOneThatABusyMachineMakesLast) {
  has(kCommand, kRoot, 0);
  has(20, kCommand, 4);
  has_used(20, 0.9 * kLeastUse);
  EXPECT_THAT(step(40), IsEmpty());
  EXPECT_TRUE(billing.is_suspicious());
  has_used(20, kLeastUse);
  EXPECT_THAT(step(1), ElementsAre(20));
}

TEST_F(BillingTest, WhatAllBelowHaveUsedCounts) {
  has(kCommand, kRoot, 0);
  has(20, kCommand, 0);
  has_used(20, 0.4 * kLeastUse);  // by those that it has waited for
  for (int job = 30; job < 34; ++job) {
    has(job, 20, 1);
    has_used(job, 0.1 * kLeastUse);
  }
  EXPECT_THAT(step(10), IsEmpty());
  has_used(20, 0.6 * kLeastUse);
  EXPECT_THAT(step(1), ElementsAre(20));
}

TEST_F(BillingTest, OneCpuTooMuchIsNamedAfterFourSamples) {
  has(kCommand, kRoot, 2);
  EXPECT_THAT(step(3), IsEmpty());
  EXPECT_THAT(step(1), ElementsAre(kCommand)) << "2 s, and half a second until it is looked at";
}

TEST_F(BillingTest, WhatIsToleratedAccusesNobody) {
  constexpr double kRounding = 0.001;
  has(kCommand, kRoot, 1 + kTolerated - kRounding);
  EXPECT_THAT(step(100), IsEmpty());
  holds(kCommand, 9);
  has(kCommand, kRoot, 10 + kTolerated + 9 * kToleratedPerSlot - kRounding);
  EXPECT_THAT(step(100), IsEmpty());
}

TEST_F(BillingTest, IdleTimeIsNotSavedUp) {
  has(kCommand, kRoot, 0);
  step(50);
  has(kCommand, kRoot, 2);
  EXPECT_THAT(step(5), ElementsAre(kCommand));
}

TEST_F(BillingTest, WhatIsHeldBelowIsAllowed) {
  has(kCommand, kRoot, 0);
  holds(kCommand, 3);
  for (int job = 20; job < 24; ++job) has(job, kCommand, 1);
  EXPECT_THAT(step(40), IsEmpty());
  has(24, kCommand, 1);
  has(25, kCommand, 1);
  EXPECT_THAT(step(5), ElementsAre(kCommand)) << "it starts more jobs than it has slots for";
  EXPECT_EQ(billing.withheld(), 2);
}

TEST_F(BillingTest, AClientsOwnWorkBesideItsJobsIsNobodysJob) {
  has(kCommand, kRoot, 0.9);
  holds(kCommand, 1);
  has(20, kCommand, 1);
  has(21, kCommand, 1);
  EXPECT_THAT(step(40), IsEmpty());
  gone(20);
  gone(21);
  has(kCommand, kRoot, 4);  // a rustc: its threads are its jobs
  EXPECT_THAT(step(5), ElementsAre(kCommand));
}

TEST_F(BillingTest, AClientIsOneFromItsFirstSlotToTheSampleAfterItsLast) {
  has(kCommand, kRoot, 4);
  has(20, kCommand, 1);
  holds(kCommand, 1);
  step();
  EXPECT_FALSE(billing.is_suspicious());
  sample.holdings.clear();
  step();
  EXPECT_FALSE(billing.is_suspicious());
  step();
  EXPECT_TRUE(billing.is_suspicious());
}

TEST_F(BillingTest, AHolderAnswersForWhatIsBelowItThoughTheBuildHasSlotsEnough) {
  has(kCommand, kRoot, 0);
  holds(kCommand, 6);
  has(20, kCommand, 0);
  for (int job = 30; job < 34; ++job) has(job, 20, 1);
  holds(20, 1);
  EXPECT_THAT(step(1), IsEmpty());
  holds_nothing(20);
  EXPECT_THAT(step(1), IsEmpty());
  holds(20, 1);
  EXPECT_THAT(step(1), ElementsAre(20)) << "it had a slot at either end of each sample";
}

TEST_F(BillingTest, TheDeadCountAsWell) {
  has(kCommand, kRoot, 0.9, 4);
  holds(kCommand, 3);
  EXPECT_THAT(step(40), IsEmpty());
  holds(kCommand, 1);
  EXPECT_THAT(step(5), ElementsAre(kCommand));
}

TEST_F(BillingTest, NamesWhoHasAllOfItBelow) {
  has(kCommand, kRoot, 0);
  holds(kCommand, 3);
  has(20, kCommand, 1);
  has(21, kCommand, 1);
  has(30, kCommand, 0);  // sh
  has(31, 30, 0.1);      // make with a pool of its own
  for (int job = 40; job < 44; ++job) has(job, 31, 1);
  EXPECT_THAT(step(5), ElementsAre(31));
  EXPECT_EQ(billing.withheld(), 3);
}

TEST_F(BillingTest, JobsThatEachHaveTooMuchAreNamedEach) {
  has(kCommand, kRoot, 0);
  holds(kCommand, 2);
  has(20, kCommand, 1);
  has(21, kCommand, 3);
  has(22, kCommand, 4);
  EXPECT_THAT(step(5), UnorderedElementsAre(21, 22));
  EXPECT_EQ(billing.withheld(), 5);
}

TEST_F(BillingTest, AnOrphanHasNoSlotFromAbove) {
  has(kCommand, kRoot, 1);
  has(20, kRoot, 1);
  EXPECT_THAT(step(5), ElementsAre(20));
  billing.calm();
  holds(20, 1, false);  // the job of a client that died
  EXPECT_THAT(step(40), IsEmpty());
}

TEST_F(BillingTest, ADaemonThatWorksForThoseThatWaitForItHasTheirSlots) {
  has(kCommand, kRoot, 0);
  holds(kCommand, 3);
  for (int job = 20; job < 24; ++job) has(job, kCommand, 0);
  has(50, kRoot, 4);
  EXPECT_THAT(step(40), IsEmpty());
}

TEST_F(BillingTest, WhatTheAccusedHasTooMuchBurdensNobodyElse) {
  has(kCommand, kRoot, 0);
  holds(kCommand, 1);
  has(20, kCommand, 6);
  EXPECT_THAT(step(3), ElementsAre(20));
  EXPECT_THAT(step(40), ElementsAre(20));
  has(21, kCommand, 4);
  EXPECT_THAT(step(5), ElementsAre(20, 21));
}

TEST_F(BillingTest, AShellIsNotNamedForWhatRunsBesideItsClients) {
  has(kCommand, kRoot, 0);
  has(20, kCommand, 4);  // `program & make`
  has(30, kCommand, 0);
  holds(30, 3);
  for (int job = 31; job < 35; ++job) has(job, 30, 1);
  EXPECT_THAT(step(6), ElementsAre(20));
  EXPECT_EQ(billing.withheld(), 3);
  EXPECT_THAT(step(40), ElementsAre(20)) << "nor for their common slot later on";
}

TEST_F(BillingTest, NorForWhatItDoesItselfBesideThem) {
  has(kCommand, kRoot, 0.3, 0.8);  // `program & until [ -e end ]; do sleep 0.05; done`
  has(20, kCommand, 6);
  has(21, kCommand, 0);
  EXPECT_THAT(step(40), ElementsAre(20));
}

TEST_F(BillingTest, AShellIsNamedForWhatRunsBesideTheAccused) {
  has(kCommand, kRoot, 0);
  has(20, kCommand, 4);
  for (int job = 30; job < 33; ++job) has(job, kCommand, 1);
  EXPECT_THAT(step(3), ElementsAre(20));
  EXPECT_THAT(step(6), ElementsAre(20, kCommand));
}

TEST_F(BillingTest, ReleasedWhenItStopsOrEnds) {
  has(kCommand, kRoot, 4);
  EXPECT_THAT(step(4), ElementsAre(kCommand));
  has(kCommand, kRoot, 1);
  EXPECT_THAT(step(1), ElementsAre(kCommand)) << "a pause is no end";
  EXPECT_THAT(step(12), IsEmpty());
  EXPECT_EQ(billing.withheld(), 0);

  has(kCommand, kRoot, 0);
  has(20, kCommand, 4);
  EXPECT_THAT(step(6), ElementsAre(20));
  gone(20);
  EXPECT_THAT(step(1), IsEmpty());
}

TEST_F(BillingTest, AfterALongTimeOneSampleSaysIt) {
  has(kCommand, kRoot, 4);
  EXPECT_THAT(step(4), ElementsAre(kCommand));
  has(kCommand, kRoot, 1);
  now += 10 * kBillingMean;
  EXPECT_THAT(step(1), IsEmpty());
}

TEST_F(BillingTest, ReleasedAtItsEndWithoutASample) {
  has(kCommand, kRoot, 0);
  holds(kCommand, 1);
  has(20, kCommand, 4);
  has(21, kCommand, 3);
  EXPECT_THAT(step(6), testing::UnorderedElementsAre(20, 21));
  EXPECT_FALSE(billing.ended(id(kCommand)));
  EXPECT_TRUE(billing.ended(id(20)));
  EXPECT_EQ(billing.withheld(), 2);
  EXPECT_FALSE(billing.ended(id(20)));
}

TEST_F(BillingTest, AnotherProcessWithThatPidIsNotAccused) {
  has(kCommand, kRoot, 0);
  has(20, kCommand, 4);
  EXPECT_THAT(step(3), ElementsAre(20));
  sample.loads.back().who.start += 1;
  EXPECT_THAT(step(1), IsEmpty());
}

TEST_F(BillingTest, SlotsThatChangedHandsCountAtTheBetterEnd) {
  has(kCommand, kRoot, 0);
  has(20, kCommand, 3);
  for (int round = 0; round < 40; ++round) {
    holds(20, round % 2 == 0 ? 2 : 0);
    EXPECT_THAT(step(1), IsEmpty());
  }
  // A lease whose holder has ended since: its parent has reaped what it used.
  for (int round = 0; round < 40; ++round) {
    sample.holdings.clear();
    gone(20);
    has(kCommand, kRoot, 0, 3);
    if (round % 2 == 0) {
      has(20, kCommand, 0);
      holds(20, 2, false);
    }
    EXPECT_THAT(step(1), IsEmpty());
  }
}

TEST_F(BillingTest, LooseSlotsAreEverybodys) {
  has(kCommand, kRoot, 0);
  sample.loose = 3;
  for (int job = 20; job < 24; ++job) has(job, kCommand, 1);
  EXPECT_THAT(step(40), IsEmpty());
  sample.loose = 0;
  EXPECT_THAT(step(6), ElementsAre(kCommand));
}

TEST_F(BillingTest, WhatCannotBeSurvivesIt) {
  EXPECT_THAT(step(3), IsEmpty());
  has(20, 21, 9);  // each other's parents
  has(21, 20, 9);
  EXPECT_THAT(step(9), IsEmpty());
  gone(21);
  has(20, 21, 0);
  sample.loads.push_back({{20, 99}, kRoot, 0, 0});  // one pid twice
  holds(77, 2);                                     // nobody
  EXPECT_THAT(step(3), IsEmpty());
  has(kRoot, 0, 50);  // the root's own use is ours
  EXPECT_THAT(step(9), IsEmpty());
}

TEST_F(BillingTest, SoManyAreAccusedAndNoMore) {
  has(kCommand, kRoot, 0);
  holds(kCommand, 1);
  for (int i = 0; i < 200; ++i) has(1000 + i, kCommand, 3);
  step(3);
  EXPECT_GE(billing.accused().size(), kMaxAccused);
  EXPECT_LE(billing.accused().size(), 200U);
}

TEST_F(BillingTest, CalmForgets) {
  has(kCommand, kRoot, 4);
  step(4);
  billing.calm();
  EXPECT_THAT(billing.accused(), IsEmpty());
  EXPECT_FALSE(billing.is_suspicious());
  EXPECT_THAT(step(2), IsEmpty());
  sample.loose = 3;
  step();
  billing.calm();
  sample.loose = 0;
  step();
  EXPECT_TRUE(billing.is_suspicious()) << "whose slots they were is of before";
}

}  // namespace
}  // namespace tokenpool::control
