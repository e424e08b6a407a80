#include "front/report.h"

#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include "board/board_log.h"
#include "board/limits.h"
#include "board/mapped_board.h"
#include "watch/news.h"

namespace tokenpool::front {
namespace {

class ReportTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(board, nullptr);
    std::string name = ::testing::TempDir() + "/tokenpool-report-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder); }
  core::PoolCounters& counters() { return board->pages[0].counters; }
  /// `inherited`: it was the job of one that had died before.
  void recovered_from(std::int32_t pid, const char* command, bool inherited = false) {
    core::Effect effect;
    effect.who = {pid, 1};
    effect.cause = core::EndCause::killed;
    effect.end.held = effect.end.freed = 1;
    effect.end.inherited = inherited ? 1 : 0;
    board::BoardLog log(board.get());
    log.name_dead(effect.who, command);
    log.add_recovery(effect, 0);
    ++counters().recovered;
  }

  board::MappedBoard board{board::map_board()};
  std::string folder;
};

TEST_F(ReportTest, SaysWhoIsStuckAndWhy) {
  board::StuckRow& at_limit = board->stuck[0];
  at_limit.pid = 7;
  at_limit.held = 1;
  at_limit.halted = 9;
  at_limit.state = 'D';
  std::snprintf(at_limit.command.data(), at_limit.command.size(), "make");
  std::snprintf(at_limit.halted_command.data(), at_limit.halted_command.size(), "ld -o a");
  std::snprintf(at_limit.type.data(), at_limit.type.size(), "link");
  at_limit.limit = 2;
  at_limit.waiting = 3;
  board->stuck[1].held = 4;
  board->stuck_count = 2;
  const auto report = nlohmann::json::parse(render_report({}, *board));
  EXPECT_EQ(report["stuck"], nlohmann::json::parse(R"([
      {"pid": 7, "command": "make", "held": 1,
       "halted": {"pid": 9, "command": "ld -o a", "state": "disk"},
       "limit": {"type": "link", "jobs": 2, "waiting": 3}},
      {"pid": 0, "command": "", "held": 4, "halted": null, "limit": null}])"));
}

TEST_F(ReportTest, HasTheKeysThatItsPagePromises) {
  RunOutcome outcome;
  outcome.command = {"make", "-k"};
  outcome.tracking = "exact";
  outcome.slots = {2, 4};
  outcome.exit_code = 130;
  outcome.signal = 2;
  recovered_from(7, "ninja");
  board->freeze_count = 5;
  board->frozen_peak = 3;
  board->frozen_ns = 1'234'567'890;
  const auto report = nlohmann::json::parse(render_report(outcome, *board));
  EXPECT_EQ(report["frozen"], nlohmann::json::parse(R"({"count":5,"peak":3,"seconds":1.235})"));
  for (const char* key : {"schema", "version", "command", "exit_code", "signal", "wall_seconds",
                          "cpu_seconds", "tracking", "slots", "tokens", "recoveries", "refusals",
                          "jobs", "uncooperative", "frozen", "memory"}) {
    EXPECT_TRUE(report.contains(key)) << key;
  }
  EXPECT_EQ(report["command"], (std::vector<std::string>{"make", "-k"}));
  EXPECT_EQ(report["signal"], 2);
  EXPECT_EQ(report["slots"]["max"], 4);
  EXPECT_EQ(report["recoveries"][0]["command"], "ninja");
  EXPECT_EQ(report["recoveries"][0]["cause"], "killed");
}

TEST_F(ReportTest, TellsWhoIgnoredThePool) {
  const auto add = [this](std::int32_t pid, double cores, std::int64_t until_ns) {
    board::UncooperativeRow& row = board->uncooperative[board->uncooperative_count++];
    row.pid = pid;
    row.cores = cores;
    row.since_ns = 5'500'000'000;
    row.until_ns = until_ns;
    std::snprintf(row.command.data(), row.command.size(), "make -j4");
  };
  board->begun_ns = 3'000'000'000;
  add(7, 2.987, 9'250'000'000);
  add(8, 1, 0);
  const auto report = nlohmann::json::parse(render_report({}, *board));
  ASSERT_EQ(report["uncooperative"].size(), 2U);
  const auto& row = report["uncooperative"][0];
  EXPECT_EQ(row["pid"], 7);
  EXPECT_EQ(row["command"], "make -j4");
  EXPECT_DOUBLE_EQ(row["cores"], 2.99);
  EXPECT_DOUBLE_EQ(row["since_seconds"], 2.5);
  EXPECT_DOUBLE_EQ(row["seconds"], 3.75);
  EXPECT_TRUE(report["uncooperative"][1]["seconds"].is_null()) << "nobody has seen its end";
  const std::string line = watch::uncooperative_line(board->uncooperative[0]);
  EXPECT_TRUE(line.starts_with("process 7 (make -j4) does not follow the pool: it wants 3.0 CPUs"))
      << line;
  EXPECT_EQ(line.find('\n'), std::string::npos);
}

TEST_F(ReportTest, NoMoreAccusationsThanTheBoardHolds) {
  board->uncooperative_count = board::kMaxUncooperative + 5;
  const auto report = nlohmann::json::parse(render_report({}, *board));
  EXPECT_EQ(report["uncooperative"].size(), board::kMaxUncooperative);
}

TEST_F(ReportTest, ACommandThatIsNoUtf8IsStillAReport) {
  RunOutcome outcome;
  outcome.command = {"sh", "-c", "echo \xff\xfe"};
  EXPECT_TRUE(nlohmann::json::accept(render_report(outcome, *board)));
}

TEST_F(ReportTest, IsWrittenWholeOrNotAtAll) {
  const std::string path = folder + "/r.json";
  ASSERT_TRUE(check_report_path(path));
  EXPECT_TRUE(std::filesystem::is_empty(folder)) << "asking leaves nothing";
  ASSERT_TRUE(write_report(path, "text\n"));
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  EXPECT_EQ(text.str(), "text\n");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
}

TEST_F(ReportTest, ALinkStaysALinkAndAPipeAPipe) {
  const std::string link = folder + "/link";
  ASSERT_EQ(::symlink((folder + "/target").c_str(), link.c_str()), 0);
  std::ofstream(folder + "/target") << "old";
  ASSERT_TRUE(write_report(link, "new\n"));
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  EXPECT_EQ(std::filesystem::file_size(folder + "/target"), 4U);

  const std::string pipe = folder + "/pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const int reader = ::open(pipe.c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_TRUE(check_report_path(pipe));
  ASSERT_TRUE(write_report(pipe, "text\n"));
  std::array<char, 8> text{};
  EXPECT_EQ(::read(reader, text.data(), text.size()), 5);
  ::close(reader);
  struct stat status{};
  ASSERT_TRUE(write_report("/dev/null", "text\n"));
  ASSERT_EQ(::stat("/dev/null", &status), 0);
  EXPECT_TRUE(S_ISCHR(status.st_mode));
}

TEST_F(ReportTest, AFifoThatNobodyReadsIsNotWaitedFor) {
  const std::string pipe = folder + "/pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_FALSE(write_report(pipe, "text\n"));
}

TEST_F(ReportTest, APathThatCannotBeWrittenIsSaidBefore) {
  for (const std::string& path :
       {folder, folder + "/no/r.json", folder + "/" + std::string(300, 'x')}) {
    const auto checked = check_report_path(path);
    ASSERT_FALSE(checked) << path;
    EXPECT_EQ(checked.error().status, 125);
    EXPECT_NE(checked.error().sentence.find(path), std::string::npos);
  }
}

TEST_F(ReportTest, TheClosingLineIsOnlyThereWhenThereIsSomethingToSay) {
  EXPECT_FALSE(closing_line(*board));
  recovered_from(7, "ninja -C out");
  EXPECT_EQ(closing_line(*board), "1 token recovered from 1 dead process (ninja -C out)");
  recovered_from(8, "make");
  EXPECT_EQ(closing_line(*board), "2 tokens recovered from 2 dead processes (first: ninja -C out)");
  counters().refused = 3;
  EXPECT_NE(closing_line(*board)->find("3 tokens returned once too often"), std::string::npos);
}

TEST_F(ReportTest, AJobThatRanOnWithTheTokenOfADeadOneIsNoDeadProcess) {
  recovered_from(7, "make");
  recovered_from(8, "cc -c a.c", true);
  recovered_from(9, "cc -c b.c", true);
  EXPECT_EQ(closing_line(*board), "3 tokens recovered from 1 dead process (make)");
}

TEST_F(ReportTest, WithoutATrackerNobodyIsNamed) {
  recovered_from(0, "");
  EXPECT_EQ(closing_line(*board), "1 token recovered");
}

TEST_F(ReportTest, WithoutATrackerALossIsSaidOnce) {
  recovered_from(0, "");
  recovered_from(0, "");
  counters().minted = 2;
  EXPECT_EQ(closing_line(*board), "2 tokens recovered");
  counters().minted = 3;
  EXPECT_EQ(closing_line(*board), "3 tokens made anew in place of others");
}

TEST_F(ReportTest, WithATrackerWhatIsMadeAnewIsAnotherMatter) {
  recovered_from(7, "make");
  counters().minted = 1;
  EXPECT_EQ(closing_line(*board),
            "1 token recovered from 1 dead process (make), 1 token made anew in place of others");
}

}  // namespace
}  // namespace tokenpool::front
