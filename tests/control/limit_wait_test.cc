#include "control/limit_wait.h"

#include <gtest/gtest.h>

#include "core/lease_desk.h"

namespace tokenpool::control {
namespace {

TEST(LimitWaitTest, WhoWaitsForAJobOfItsType) {
  core::LeaseDesk desk{4};
  desk.set_limit("link", 1);
  desk.set_limit("test", 2);
  const core::LeaseId link = desk.take({.type = "link"});
  const core::LeaseId test = desk.take({.type = "test"});
  EXPECT_EQ(limit_waits(desk.pool), std::vector<LimitWait>()) << "nobody waits";
  desk.ask({.type = "link"});
  const core::Ticket last = desk.ask({.type = "link"});
  EXPECT_EQ(limit_waits(desk.pool), (std::vector<LimitWait>{{"link", 1, 2, {link}}}));
  EXPECT_EQ(slots_lacking(desk.pool, 0), 0) << "there are slots";
  const core::LeaseId other = desk.take({.type = "test"});
  desk.ask({.type = "test"});
  EXPECT_EQ(limit_waits(desk.pool),
            (std::vector<LimitWait>{{"link", 1, 2, {link}}, {"test", 2, 1, {test, other}}}));
  desk.cancel(last);
  desk.release(link);
  EXPECT_EQ(limit_waits(desk.pool), (std::vector<LimitWait>{{"test", 2, 1, {test, other}}}))
      << "the first one runs, and nobody waits for it";
}

TEST(LimitWaitTest, WhoseTypeMayRunWaitsForNoLimit) {
  core::LeaseDesk desk{1};
  desk.set_limit("link", 2);
  desk.take({.type = "link"});
  desk.ask({.type = "link"});
  desk.ask({.type = "test"});
  EXPECT_FALSE(is_at_limit(desk.pool, "link"));
  EXPECT_FALSE(is_at_limit(desk.pool, "test"));
  EXPECT_EQ(limit_waits(desk.pool), std::vector<LimitWait>());
}

TEST(LimitWaitTest, WhatALoweredLimitLeavesRunningHoldsIt) {
  core::LeaseDesk desk{4};
  const core::LeaseId first = desk.take({.type = "link"});
  const core::LeaseId second = desk.take({.type = "link"});
  desk.set_limit("link", 1);
  desk.ask({.type = "link"});
  EXPECT_EQ(limit_waits(desk.pool), (std::vector<LimitWait>{{"link", 1, 1, {first, second}}}));
}

TEST(LimitWaitTest, APauseIsOnPurpose) {
  core::LeaseDesk desk{2};
  desk.set_limit("link", 1);
  desk.take({.type = "link"});
  desk.ask({.type = "link"});
  desk.ask({.min = 2});
  EXPECT_EQ(slots_lacking(desk.pool, 0), 1);
  desk.pause(true);
  EXPECT_EQ(limit_waits(desk.pool), std::vector<LimitWait>());
  EXPECT_EQ(slots_lacking(desk.pool, 0), 0);
}

TEST(LimitWaitTest, TheFirstWhomNoLimitStopsLacksSlots) {
  core::LeaseDesk desk{8};
  desk.set_limit("link", 1);
  EXPECT_EQ(slots_lacking(desk.pool, 0), 0) << "nobody waits";
  desk.take({.min = 2, .type = "link"});
  desk.take(3);
  desk.ask({.min = 8, .type = "link"});
  EXPECT_EQ(slots_lacking(desk.pool, 0), 0);
  desk.ask({.min = 7});
  EXPECT_EQ(slots_lacking(desk.pool, 0), 4) << "three are free";
  EXPECT_EQ(slots_lacking(desk.pool, 1), 3);
  EXPECT_EQ(slots_lacking(desk.pool, 4), 1) << "it waits all the same";
}

}  // namespace
}  // namespace tokenpool::control
