#include "session/who_holds.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tokenpool::session {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

wire::StatusRow lease(const std::string& target, int pid, int slots, std::int64_t age_ms) {
  wire::StatusRow row;
  row.name = "tokenpool exec";
  row.target = target;
  row.pid = pid;
  row.slots = slots;
  row.age_ms = age_ms;
  return row;
}

TEST(WhoHolds, TheOldestFirst) {
  wire::StatusResult status;
  EXPECT_EQ(who_holds(status), "");
  status.leases = {lease("bin/app", 7, 2, 12'000), lease("", 0, 1, 70'000)};
  status.leases_total = 2;
  status.tokens = 3;
  status.holders = {{9, 3, "make -C lib", 20'000}};
  EXPECT_EQ(who_holds(status),
            "tokenpool exec (1m10s, 1 slot), make -C lib (pid 9, 20s, 3 tokens), bin/app (pid 7, "
            "12s, 2 slots)");
}

TEST(WhoHolds, WhoeverIsNotNamedIsCounted) {
  wire::StatusResult status;
  for (int i = 0; i < 5; ++i) status.leases.push_back(lease("t", i + 1, 1, 1000));
  status.leases_total = 70;
  EXPECT_THAT(who_holds(status), EndsWith(" and 67 more"));
  status = {};
  status.tokens = 2;
  EXPECT_EQ(who_holds(status), "clients of make's jobserver (2 tokens)");
}

TEST(WaitingLine, TellsWhatHindersIt) {
  wire::StatusResult status;
  status.slots = 1;
  status.leases = {lease("big", 7, 1, 9000)};
  status.leases_total = 1;
  status.waiting_total = 1;
  EXPECT_EQ(waiting_line(status, 1, "", 5100),
            "has waited 5s for a slot: the only one is taken by big (pid 7, 9s, 1 slot); see "
            "tokenpool status");
  status.slots = 4;
  status.free = 3;
  status.waiting_total = 3;
  EXPECT_EQ(waiting_line(status, 4, "", 65'000),
            "has waited 1m05s for 4 slots: 1 of 4 are taken by big (pid 7, 9s, 1 slot); 2 more "
            "wait; see tokenpool status");
  status.limits = {{"link", 2, 2}, {"test", 1, 0}};
  EXPECT_THAT(waiting_line(status, 1, "link", 5000),
              HasSubstr("a slot: 2 jobs of type link may run at one time; 1 of 4 are"));
  EXPECT_THAT(waiting_line(status, 1, "test", 5000), HasSubstr("a slot: 1 of 4 are"));
  status.paused = true;
  EXPECT_EQ(waiting_line(status, 1, "", 5000),
            "has waited 5s for a slot: the pool is paused; tokenpool resume lets it go on");
}

}  // namespace
}  // namespace tokenpool::session
