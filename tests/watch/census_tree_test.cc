#include "watch/census_tree.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tokenpool::watch {
namespace {

using core::ProcessId;

ProcessId process(pid_t pid) { return {pid, 100}; }

proc::CensusRow row(pid_t pid, pid_t parent, char state = 'S') {
  proc::CensusRow row;
  row.who = process(pid);
  row.parent = parent;
  row.state = state;
  return row;
}

std::vector<HaltedProcess> halted(const std::vector<proc::CensusRow>& rows,
                                  const std::vector<pid_t>& holders) {
  return CensusTree(rows).halted([&](ProcessId who) {
    return std::find(holders.begin(), holders.end(), who.pid) != holders.end();
  });
}

std::vector<pid_t> pids(const std::vector<proc::CensusRow>& rows) {
  std::vector<pid_t> pids;
  for (const proc::CensusRow& row : rows) pids.push_back(row.who.pid);
  return pids;
}

TEST(CensusTreeTest, AFamilyIsAProcessAndAllBelow) {
  const std::vector<proc::CensusRow> rows{row(1, 0), row(2, 1), row(3, 1), row(4, 2), row(5, 4)};
  const CensusTree tree(rows);
  EXPECT_THAT(pids(tree.family_of(process(2))), testing::UnorderedElementsAre(2, 4, 5));
  EXPECT_THAT(tree.family_of(process(6)), testing::IsEmpty());
  EXPECT_THAT(tree.family_of({2, 101}), testing::IsEmpty()) << "the pid's next owner";
  EXPECT_EQ(tree.find({2, 101}), nullptr);
}

TEST(CensusTreeTest, CirclesEnd) {
  const std::vector<proc::CensusRow> rows{row(1, 2, 'T'), row(2, 1)};
  EXPECT_THAT(pids(CensusTree(rows).family_of(process(1))), testing::UnorderedElementsAre(1, 2));
  EXPECT_EQ(halted(rows, {}).size(), 1U);
}

TEST(CensusTreeTest, WhoIsStoppedHasTheNearestHolderAbove) {
  const std::vector<proc::CensusRow> rows{row(1, 0),        row(10, 1),       row(20, 10),
                                          row(30, 20, 'T'), row(31, 10, 'T'), row(32, 1, 'T')};
  const std::vector<HaltedProcess> expected{{process(30), 'T', process(20)},
                                            {process(31), 'T', process(10)},
                                            {process(32), 'T', std::nullopt}};
  EXPECT_EQ(halted(rows, {10, 20}), expected);
}

TEST(CensusTreeTest, WhoIsStoppedWithItsShellIsNotNamedBesideIt) {
  const std::vector<proc::CensusRow> rows{row(1, 0), row(10, 1), row(20, 10, 'T'), row(30, 20, 'T'),
                                          row(40, 30, 'T')};
  EXPECT_EQ(halted(rows, {10}), (std::vector<HaltedProcess>{{process(20), 'T', process(10)}}));
  const std::vector<HaltedProcess> both{{process(20), 'T', process(10)},
                                        {process(30), 'T', process(30)}};
  EXPECT_EQ(halted(rows, {10, 30}), both) << "each holder has its own";
}

TEST(CensusTreeTest, ADiskCountsWhereNobodyIsStopped) {
  std::vector<proc::CensusRow> rows{row(1, 0), row(10, 1), row(20, 10, 'D'), row(21, 10, 't')};
  EXPECT_EQ(halted(rows, {10}), (std::vector<HaltedProcess>{{process(20), 'D', process(10)}}));
  rows.push_back(row(22, 10, 'T'));
  EXPECT_EQ(halted(rows, {10}), (std::vector<HaltedProcess>{{process(22), 'T', process(10)}}));
}

}  // namespace
}  // namespace tokenpool::watch
