// Replays what the fuzzers found worth keeping, and random texts of the words that matter.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <gtest/gtest.h>
#include <rapidcheck.h>

// The fuzz targets are built apart; the properties are the same.
#include "../../fuzz/properties.cc"  // NOLINT(bugprone-suspicious-include)

namespace tokenpool::dialect {
namespace {

std::filesystem::path corpus(const char* name) {
  return std::filesystem::path(__FILE__).parent_path() / "../seeds/fuzz" / name;
}

int replay(const char* name, void (*check)(std::string_view)) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(corpus(name))) {
    std::ifstream in(entry.path(), std::ios::binary);
    check(std::string(std::istreambuf_iterator<char>(in), {}));
    ++files;
  }
  return files;
}

TEST(Corpus, Makeflags) { EXPECT_GT(replay("makeflags", fuzz::check_makeflags), 10); }
TEST(Corpus, StripJobs) { EXPECT_GT(replay("strip_jobs", fuzz::check_strip_jobs), 10); }

std::string some_words(const std::vector<std::string>& words,
                       const std::vector<std::string>& ends) {
  std::string text;
  for (int n = *rc::gen::inRange(0, 12); n > 0; --n) {
    text += *rc::gen::elementOf(words) + *rc::gen::elementOf(ends);
  }
  return text;
}

TEST(Random, Makeflags) {
  EXPECT_TRUE(rc::check([] {
    fuzz::check_makeflags(some_words({"k",
                                      "-k",
                                      "-j",
                                      "-j4",
                                      "j",
                                      "4",
                                      "0",
                                      "-kj",
                                      "--jobs",
                                      "--jobs=2",
                                      "-C",
                                      "-f",
                                      "--directory",
                                      "--jobserver-auth=3,4",
                                      "--jobserver-auth=fifo:/x",
                                      "A=b",
                                      "--",
                                      "--jobserver-fds",
                                      "-l",
                                      "-O",
                                      "--jobserver-f=1,2",
                                      "-",
                                      "\\",
                                      "=",
                                      "-jx"},
                                     {" ", " ", " ", "\t", "\\ ", "\\", "", "\n"}));
  }));
}

TEST(Random, StripJobs) {
  EXPECT_TRUE(rc::check([] {
    const std::string tool = *rc::gen::element<std::string>("make", "ninja", "cmake", "ctest");
    fuzz::check_strip_jobs(
        tool + "\n" + (tool == "cmake" ? "--build\n" : "") +
        some_words({"-j",         "-j4",          "-j1",      "4",   "1",  "x",  "-kj",
                    "-vj3",       "--jobs",       "--jobs=2", "-C",  "-R", "-t", "--",
                    "--parallel", "--parallel=4", "-j0",      "-jx", "-l", "",   "--target"},
                   {"\n", "\n", "\n", ""}));
  }));
}

}  // namespace
}  // namespace tokenpool::dialect
