#include "cli/recent_ends.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tokenpool::cli {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

wire::StatusResult with(std::initializer_list<std::int32_t> jobs,
                        std::initializer_list<std::uint64_t> leases = {}) {
  wire::StatusResult status;
  for (const std::int32_t pid : jobs)
    status.jobs.push_back({1, pid, "cc " + std::to_string(pid), 9});
  for (const std::uint64_t id : leases) {
    wire::StatusRow row;
    row.lease = id;
    row.pid = 70;
    row.target = "lease " + std::to_string(id);
    row.age_ms = 5;
    status.leases.push_back(row);
  }
  status.leases_total = status.leases.size();
  return status;
}

constexpr RecentEnds::Instant kStart{};

TEST(RecentEnds, AreShownForAWhile) {
  RecentEnds ends;
  ends.look(with({10, 11}, {5}), kStart);
  EXPECT_THAT(ends.jobs(), IsEmpty());
  ends.look(with({11}, {5}), kStart + milliseconds(100));
  EXPECT_THAT(ends.jobs(), ElementsAre(EndedJob{10, "cc 10", 9}));
  ends.look(with({11}), kStart + milliseconds(200));
  EXPECT_THAT(ends.jobs(), ElementsAre(EndedJob{70, "lease 5", 5}, EndedJob{10, "cc 10", 9}));
  ends.look(with({11}), kStart + milliseconds(100) + RecentEnds::kShown);
  EXPECT_THAT(ends.jobs(), ElementsAre(EndedJob{70, "lease 5", 5}));
}

TEST(RecentEnds, AJobThatLostItsRowHasNotEnded) {
  RecentEnds ends;
  ends.look(with({}, {5, 6}), kStart);
  wire::StatusResult cut = with({}, {6});
  cut.leases_total = 2;
  ends.look(cut, kStart);
  EXPECT_THAT(ends.jobs(), IsEmpty());
}

TEST(RecentEnds, AreAFewOnly) {
  RecentEnds ends;
  ends.look(with({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}), kStart);
  ends.look(with({}), kStart);
  EXPECT_THAT(ends.jobs(), SizeIs(RecentEnds::kMost));
}

TEST(RecentEnds, WhatABuildHasLeftIsNoJob) {
  RecentEnds ends;
  wire::StatusResult status = with({10});
  status.jobs[0].holder = 0;
  ends.look(status, kStart);
  ends.look(with({}), kStart);
  EXPECT_THAT(ends.jobs(), IsEmpty());
}

}  // namespace
}  // namespace tokenpool::cli
