#include "arbiter/accused_rows.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "board/mapped_board.h"
#include "proc/process.h"

namespace tokenpool::arbiter {
namespace {

using core::ProcessId;
using std::chrono::seconds;

class AccusedRowsTest : public testing::Test {
 protected:
  const ProcessId self = proc::read_process(::getpid())->id;
  const ProcessId parent = proc::read_process(::getppid())->id;
  board::MappedBoard board{board::map_board()};
  board::BoardLog log{board.get()};
  AccusedRows rows{&log};
};

TEST_F(AccusedRowsTest, WhoIsAccusedHasARowAndIsAnswered) {
  log.begin_at(seconds(1));
  EXPECT_EQ(rows.follow({{self, 1.25, seconds(2)}}, seconds(2)), std::vector{self});
  ASSERT_EQ(board->uncooperative_count, 1U);
  EXPECT_EQ(board->uncooperative[0].pid, self.pid);
  EXPECT_EQ(board->uncooperative[0].until_ns, 0);
  EXPECT_GE(board->uncooperative[0].since_ns, board->begun_ns);
  const auto status = rows.status(seconds(5));
  ASSERT_EQ(status.size(), 1U);
  EXPECT_EQ(status[0].pid, self.pid);
  EXPECT_EQ(status[0].command, proc::command_of(self.pid));
  EXPECT_EQ(status[0].millicores, 1250);
  EXPECT_EQ(status[0].since_ms, 3000);
}

TEST_F(AccusedRowsTest, WhoStaysAccusedIsNotSoAnew) {
  (void)rows.follow({{self, 1, seconds(2)}}, seconds(2));
  EXPECT_EQ(rows.follow({{self, 2, seconds(2)}, {parent, 1, seconds(3)}}, seconds(3)),
            std::vector{parent});
  EXPECT_EQ(rows.processes(), (std::vector{self, parent}));
  EXPECT_EQ(rows.status(seconds(3)).at(0).millicores, 2000);
  EXPECT_EQ(board->uncooperative_count, 2U);
}

TEST_F(AccusedRowsTest, WhoIsAccusedNoMoreIsReleased) {
  (void)rows.follow({{self, 1, seconds(2)}, {parent, 1, seconds(2)}}, seconds(2));
  EXPECT_TRUE(rows.follow({{parent, 1, seconds(2)}}, seconds(4)).empty());
  EXPECT_GT(board->uncooperative[0].until_ns, board->uncooperative[0].since_ns);
  EXPECT_EQ(board->uncooperative[1].until_ns, 0);
  EXPECT_EQ(rows.processes(), std::vector{parent});
  EXPECT_TRUE(rows.follow({}, seconds(5)).empty());
  EXPECT_TRUE(rows.status(seconds(5)).empty());
}

}  // namespace
}  // namespace tokenpool::arbiter
