#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tokenpool::cli {
namespace {

using ::testing::Contains;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

std::string completion_file() {
  const auto tests = std::filesystem::path(__FILE__).parent_path().parent_path();
  return (tests.parent_path() / "completions" / "tokenpool.bash").string();
}

/// What bash offers for the last of `words`, which are shell text.
std::vector<std::string> offered(const std::string& words) {
  const std::string script = "bash --norc -c '. \"" + completion_file() + "\"; COMP_WORDS=(" +
                             words +
                             "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _tokenpool; "
                             "printf \"%s\\n\" \"${COMPREPLY[@]}\"' 2>&1";
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(popen(script.c_str(), "r"), pclose);
  std::vector<std::string> lines;
  std::array<char, 4096> line{};
  while (pipe && std::fgets(line.data(), line.size(), pipe.get()) != nullptr) {
    std::string text(line.data());
    if (!text.empty() && text.back() == '\n') text.pop_back();
    lines.push_back(text);
  }
  return lines;
}

class BashCompletion : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::system("bash -c : >/dev/null 2>&1") != 0) GTEST_SKIP() << "bash is not here";
  }
};

TEST_F(BashCompletion, Commands) {
  EXPECT_THAT(offered("tokenpool \"\""),
              UnorderedElementsAre("run", "serve", "exec", "status", "set", "pause", "resume",
                                   "doctor", "env", "help", "--help", "--version"));
  EXPECT_THAT(offered("tokenpool d"), UnorderedElementsAre("doctor"));
}

TEST_F(BashCompletion, OptionsAndTheirValues) {
  EXPECT_THAT(offered("tokenpool run --t"), UnorderedElementsAre("--track"));
  EXPECT_THAT(offered("tokenpool run --track \"\""),
              UnorderedElementsAre("auto", "exact", "infer"));
  EXPECT_THAT(offered("tokenpool run --track = e"), UnorderedElementsAre("exact"));
  EXPECT_THAT(offered("tokenpool run -j a"), UnorderedElementsAre("auto"));
  EXPECT_THAT(offered("tokenpool run -q --shims o"), UnorderedElementsAre("on", "off"));
  EXPECT_THAT(offered("tokenpool run --nice 1"), UnorderedElementsAre("10", "19"));
  EXPECT_THAT(offered("tokenpool run --nice 5 bas"), Contains("bash"));
  EXPECT_THAT(offered("tokenpool exec --n"), UnorderedElementsAre("--nice"));
  EXPECT_THAT(offered("tokenpool run --l"), UnorderedElementsAre("--limit", "--listen"));
  EXPECT_THAT(offered("tokenpool serve --l"), UnorderedElementsAre("--limit", "--listen"));
  EXPECT_THAT(offered("tokenpool serve --jobs c"), UnorderedElementsAre("cpus", "cpus-1"));
  EXPECT_THAT(offered("tokenpool doctor --j"), UnorderedElementsAre("--json"));
}

TEST_F(BashCompletion, CommandsForAServer) {
  EXPECT_THAT(offered("tokenpool status --"),
              UnorderedElementsAre("--json", "--watch", "--all", "--server", "--run",
                                   "--cookie-file", "--help"));
  EXPECT_THAT(offered("tokenpool pause --s"), UnorderedElementsAre("--server"));
  EXPECT_THAT(offered("tokenpool set j"), UnorderedElementsAre("jobs="));
  EXPECT_THAT(offered("tokenpool env --server /et"), UnorderedElementsAre("/etc"));
  EXPECT_THAT(offered("tokenpool set --cookie-file = /et"), UnorderedElementsAre("/etc"));
}

TEST_F(BashCompletion, ThenTheCommandItself) {
  EXPECT_THAT(offered("tokenpool run -j 4 bas"), Contains("bash"));
  EXPECT_THAT(offered("tokenpool run --track = exact -- bas"), Contains("bash"));
  EXPECT_THAT(offered("tokenpool run --wrap bas"), Contains("bash"));
  EXPECT_THAT(offered("tokenpool run --wrap = cc,ld bas"), Contains("bash"));
  EXPECT_THAT(offered("tokenpool run make --tr"), Not(Contains("--track")));
}

TEST_F(BashCompletion, AsksTheCompletionOfTheCommand) {
  const std::string framework = "_command_offset() { COMPREPLY=(\"at $1\"); }; ";
  const std::string script = "bash --norc -c '. \"" + completion_file() + "\"; " + framework +
                             "COMP_WORDS=(tokenpool run -j 4 -- make a); COMP_CWORD=6; _tokenpool; "
                             "test \"${COMPREPLY[0]}\" = \"at 5\"'";
  EXPECT_EQ(std::system(script.c_str()), 0);
}

}  // namespace
}  // namespace tokenpool::cli
