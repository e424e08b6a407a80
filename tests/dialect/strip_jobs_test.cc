// What is expected here was seen with GNU make 4.3, ninja 1.11.1 and 1.13.2, cmake 3.25.1
// and 4.3.1, ctest 3.25.1 and 4.3.1.
#include <sstream>

#include <gtest/gtest.h>

#include "dialect/tool.h"

namespace tokenpool::dialect {
namespace {

std::vector<std::string> split(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

std::string joined(const std::vector<std::string>& words, const char* between = " ") {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

const Tool kMake = describe_tool(ToolKind::make, "GNU Make 4.3");
const Tool kNinja = describe_tool(ToolKind::ninja, "1.13.2");
const Tool kCmake = describe_tool(ToolKind::cmake, "cmake version 3.25.1");
const Tool kCtest = describe_tool(ToolKind::ctest, "ctest version 4.3.1");

// "left | removed", the removed ones with commas between.
std::string cut(const Tool& tool, const std::string& args) {
  const Surgery surgery = strip_jobs(tool, split(args));
  return joined(surgery.args) + " | " + joined(surgery.removed, ", ");
}

TEST(StripJobs, Make) {
  EXPECT_EQ(cut(kMake, "-j all"), "all | -j");
  EXPECT_EQ(cut(kMake, "-j8 all"), "all | -j8");
  EXPECT_EQ(cut(kMake, "-j 8 all"), "all | -j 8");
  EXPECT_EQ(cut(kMake, "all -kj8 -s"), "all -k -s | -j8");
  EXPECT_EQ(cut(kMake, "-kj 8 all"), "-k all | -j 8");
  EXPECT_EQ(cut(kMake, "--jobs=8 --jobs 4 --jobs"), " | --jobs=8, --jobs 4, --jobs");
  EXPECT_EQ(cut(kMake, "-j all 8"), "all 8 | -j");
  EXPECT_EQ(cut(kMake, "-j 8x"), "8x | -j");
}

TEST(StripJobs, MakeKeepsValuesAndGoals) {
  for (const char* args : {"-C -j4", "-f -j4 x", "-Wj4", "-o -j4", "--directory -j4", "--eval -j4",
                           "-kE -j4", "-- -j4", "-Ij4", "-Oj4", "--debug=j4", "j4", "-d"}) {
    EXPECT_EQ(cut(kMake, args), std::string(args) + " | ");
  }
  EXPECT_EQ(cut(kMake, "-l -j4"), "-l | -j4");
  EXPECT_EQ(cut(kMake, "-C d -j4"), "-C d | -j4");
}

TEST(StripJobs, MakeKeepsWhatItRefuses) {
  for (const char* args : {"-jk", "-j0", "-j4k", "-j 0", "--jobs=x", "--job=4"}) {
    EXPECT_EQ(cut(kMake, args), std::string(args) + " | ");
  }
}

TEST(StripJobs, OneJobIsTheCallersWish) {
  EXPECT_EQ(cut(kMake, "-j1 install"), "-j1 install | ");
  EXPECT_EQ(cut(kMake, "-j8 -j1"), "-j8 -j1 | ");
  EXPECT_EQ(cut(kMake, "-j1 -j8"), " | -j1, -j8");
  EXPECT_EQ(cut(kNinja, "-j 1"), "-j 1 | ");
  EXPECT_EQ(cut(kCmake, "--build b -j1"), "--build b -j1 | ");
  EXPECT_EQ(cut(kCmake, "--build b -j8 -- -j1"), "--build b -j8 -- -j1 | ");
  EXPECT_EQ(cut(kCtest, "-j8 -j1"), "-j8 -j1 | ");
  EXPECT_TRUE(strip_jobs(kMake, split("-j1")).serial);
  EXPECT_FALSE(strip_jobs(kMake, split("-j2")).serial);
  EXPECT_FALSE(strip_jobs(kMake, split("all")).serial);
}

TEST(StripJobs, Ninja) {
  EXPECT_EQ(cut(kNinja, "-j8 all"), "all | -j8");
  EXPECT_EQ(cut(kNinja, "all -j 8"), "all | -j 8");
  EXPECT_EQ(cut(kNinja, "-vj8 -nj 3"), "-v -n | -j8, -j 3");
  EXPECT_EQ(cut(kNinja, "-j0"), " | -j0");
  EXPECT_EQ(cut(kNinja, "-j+3"), " | -j+3");
  EXPECT_EQ(cut(kNinja, "--quiet -k0 -k 0 -C d -dstats -w x -j2"),
            "--quiet -k0 -k 0 -C d -dstats -w x | -j2");
  EXPECT_EQ(cut(kNinja, "-j8 -t clean -j4"), "-t clean -j4 | -j8");
  for (const char* args : {"-C -j4", "-- -j4", "-tclean -j4", "-j", "-j 3x", "-j -1", "-fj4"}) {
    EXPECT_EQ(cut(kNinja, args), std::string(args) + " | ");
  }
}

TEST(StripJobs, Cmake) {
  EXPECT_EQ(cut(kCmake, "--build b -j8 --target x"), "--build b --target x | -j8");
  EXPECT_EQ(cut(kCmake, "--build b -j --target x"), "--build b --target x | -j");
  EXPECT_EQ(cut(kCmake, "--build b -j 8"), "--build b | -j 8");
  EXPECT_EQ(cut(kCmake, "--build b -j=8 --parallel=8 --parallel8 --parallel 8 --parallel"),
            "--build b | -j=8, --parallel=8, --parallel8, --parallel 8, --parallel");
  EXPECT_EQ(cut(kCmake, "--build b -j8 -- -k -j4 --jobs=3 X=1"),
            "--build b -- -k X=1 | -j8, -j4, --jobs=3");
  for (const char* args : {"-S . -B b -j8", "--build b -j x", "--build b -j0", "--build b -vj8",
                           "-E env -j8", "--install b -j8", "--build b"}) {
    EXPECT_EQ(cut(kCmake, args), std::string(args) + " | ");
  }
}

TEST(StripJobs, CtestIsLimitedByTokensOnly) {
  EXPECT_EQ(cut(kCtest, "-j8 -R x"), "-j0 -R x | -j8");
  EXPECT_EQ(cut(kCtest, "-R x --parallel 4"), "-R x -j0 | --parallel 4");
  EXPECT_EQ(cut(kCtest, "-j 4 --parallel=2"), "-j0 | -j 4, --parallel=2");
  for (const char* args : {"-j", "-j0", "--parallel", "-R -j4", "-j3x", "--parallel3",
                           "--build-and-test a b --test-command c -j4", "-V"}) {
    EXPECT_EQ(cut(kCtest, args), std::string(args) + " | ");
  }
}

TEST(StripJobs, ThoseThatAreNoClientsKeepTheirs) {
  EXPECT_EQ(cut(describe_tool(ToolKind::ninja, "1.11.1"), "-j8"), "-j8 | ");
  EXPECT_EQ(cut(describe_tool(ToolKind::ctest, "ctest version 3.25.1"), "-j8"), "-j8 | ");
  EXPECT_EQ(cut(describe_tool(ToolKind::make, "bmake"), "-j8"), "-j8 | ");
  EXPECT_EQ(cut(describe_tool(ToolKind::cargo, "cargo 1.95.0"), "build -j8"), "build -j8 | ");
}

TEST(StripJobs, NoArguments) {
  for (const Tool& tool : {kMake, kNinja, kCmake, kCtest}) EXPECT_EQ(cut(tool, ""), " | ");
}

TEST(StripJobs, TheNumberOfWhatWasRemoved) {
  for (const char* word : {"-j8", "-j 8", "--jobs=8", "--parallel 8", "-j+8", "-kj8"}) {
    EXPECT_EQ(jobs_in(word), 8) << word;
  }
  for (const char* word : {"-j", "--jobs", "-j0", "", "-j99999"}) {
    EXPECT_EQ(jobs_in(word), std::nullopt) << word;
  }
}

}  // namespace
}  // namespace tokenpool::dialect
