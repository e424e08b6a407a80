#include "watch/stuck.h"

#include <cstdio>

#include <gtest/gtest.h>
#include <unistd.h>

namespace tokenpool::watch {
namespace {

using core::ProcessId;

board::StuckRow row_of(std::int32_t pid, int held, std::int32_t halted = 0, char state = 'T') {
  board::StuckRow row;
  row.pid = pid;
  row.held = held;
  row.halted = halted;
  row.state = state;
  std::snprintf(row.command.data(), row.command.size(), "make -C m");
  std::snprintf(row.halted_command.data(), row.halted_command.size(), "cc1 a.c");
  return row;
}

board::StuckRow at_limit(board::StuckRow row, int waiting) {
  std::snprintf(row.type.data(), row.type.size(), "link");
  row.limit = 1;
  row.waiting = waiting;
  return row;
}

std::string run_line(const board::StuckRow& row) { return stuck_line(row, StuckPlace::run); }

TEST(StuckLineTest, OfSlots) {
  const std::string more =
      " while nothing of the build moves, so one slot more was made for the others; ";
  const std::string look = more + "if it is not just waiting, look what it waits for, or end it";
  EXPECT_EQ(run_line(row_of(7, 2)), "process 7 (make -C m) keeps 2 slots" + look);
  EXPECT_EQ(run_line(row_of(0, 1)), "1 slot did not come back" + look);
  const std::string let_9_go_on = more + "let it go on (kill -CONT 9), or end it";
  EXPECT_EQ(run_line(row_of(7, 1, 9)),
            "process 9 (cc1 a.c) is stopped, below process 7 (make -C m), which keeps 1 slot" +
                let_9_go_on);
  EXPECT_EQ(run_line(row_of(9, 1, 9)),
            "process 9 (cc1 a.c) is stopped and keeps 1 slot" + let_9_go_on);
  EXPECT_EQ(run_line(row_of(0, 3, 9)),
            "process 9 (cc1 a.c) is stopped and 3 slots did not come back" + let_9_go_on);
  EXPECT_EQ(
      run_line(row_of(7, 1, 9, 'D')),
      "process 9 (cc1 a.c) waits for a disk, below process 7 (make -C m), which keeps 1 slot" +
          more + "look whether its file system answers, or end it");
  EXPECT_EQ(stuck_line(row_of(7, 1), StuckPlace::serve),
            "process 7 (make -C m) keeps 1 slot while it does nothing and others wait, so there is "
            "one slot more for them; if it is not just waiting, look what it waits for, or end it");
}

TEST(StuckLineTest, OfFurtherOnes) {
  board::StuckRow row = row_of(7, 0, 9);
  row.too = true;
  EXPECT_EQ(run_line(row),
            "process 9 (cc1 a.c) is stopped, below process 7 (make -C m), too; let "
            "it go on (kill -CONT 9), or end it");
  row.pid = 0;
  EXPECT_EQ(run_line(row),
            "process 9 (cc1 a.c) is stopped, too; let it go on (kill -CONT 9), or end it");
}

TEST(StuckLineTest, OfNoSlots) {
  EXPECT_EQ(run_line(row_of(0, 0, 9)),
            "process 9 (cc1 a.c) is stopped and nothing of the build moves; let it go on (kill "
            "-CONT 9), or end it");
}

TEST(StuckLineTest, OfALimit) {
  const std::string raise = ", or raise the limit (tokenpool set limit.link=2)";
  EXPECT_EQ(run_line(at_limit(row_of(9, 1, 9), 1)),
            "process 9 (cc1 a.c) is stopped and fills the limit of type link (1) while another "
            "waits; let it go on (kill -CONT 9), or end it" +
                raise);
  EXPECT_EQ(run_line(at_limit(row_of(7, 1, 9), 2)),
            "process 9 (cc1 a.c) is stopped, below process 7 (make -C m), which fills the limit of "
            "type link (1) while 2 others wait; let it go on (kill -CONT 9), or end it" +
                raise);
  EXPECT_EQ(run_line(at_limit(row_of(7, 1), 2)),
            "process 7 (make -C m) has not moved for long and fills the limit of type link (1) "
            "while 2 others wait; if it is not just waiting, look what it waits for, or end it" +
                raise);
}

TEST(StuckRowsTest, EachHolderWithThoseThatAreHaltedBelowIt) {
  const auto process = [](pid_t pid, pid_t parent, char state) {
    proc::CensusRow row;
    row.who = {pid, 1};
    row.parent = parent;
    row.state = state;
    return row;
  };
  // Above what the kernel gives, but for one whose command line is known.
  const pid_t own = ::getpid();
  constexpr pid_t kNobody = 1 << 23;
  const std::vector<proc::CensusRow> rows{
      process(own, 1, 'S'),         process(kNobody, own, 'T'),   process(kNobody + 1, own, 'T'),
      process(kNobody + 2, 1, 'S'), process(kNobody + 3, 1, 'T'), process(kNobody + 4, 1, 'T')};
  const std::map<ProcessId, int> held{{{own, 1}, 3}, {{kNobody + 2, 1}, 1}};
  const auto found = stuck_rows(CensusTree(rows), held, 0);
  ASSERT_EQ(found.size(), 5U);
  EXPECT_EQ(found[0].pid, own);
  EXPECT_NE(found[0].command[0], '\0');
  EXPECT_EQ(found[0].held, 3);
  EXPECT_EQ(found[0].halted, kNobody);
  EXPECT_FALSE(found[0].too);
  EXPECT_EQ(found[1].pid, own);
  EXPECT_EQ(found[1].held, 0);
  EXPECT_EQ(found[1].halted, kNobody + 1);
  EXPECT_TRUE(found[1].too);
  EXPECT_EQ(found[2].pid, kNobody + 2);
  EXPECT_EQ(found[2].halted, 0);
  EXPECT_EQ(found[3].pid, 0);
  EXPECT_EQ(found[3].halted, kNobody + 3);
  EXPECT_TRUE(found[3].too) << "nothing is missing";
  const auto lost = stuck_rows(CensusTree(rows), {}, 2);
  ASSERT_EQ(lost.size(), 4U);
  EXPECT_EQ(lost[0].held, 2);
  EXPECT_FALSE(lost[0].too);
}

}  // namespace
}  // namespace tokenpool::watch
