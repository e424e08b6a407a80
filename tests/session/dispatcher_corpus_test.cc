// Replays what the fuzzer of sessions found worth keeping, and random lives of an arbiter.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <gtest/gtest.h>
#include <rapidcheck.h>

// The fuzz targets are built apart; the properties are the same.
#include "../../fuzz/session_properties.cc"  // NOLINT(bugprone-suspicious-include)

namespace tokenpool::fuzz {
namespace {

TEST(DispatcherCorpus, Replay) {
  const auto folder = std::filesystem::path(__FILE__).parent_path() / "../seeds/fuzz/session";
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream in(entry.path(), std::ios::binary);
    check_session(std::string(std::istreambuf_iterator<char>(in), {}));
    ++files;
  }
  EXPECT_GT(files, 10);
}

TEST(DispatcherCorpus, Random) {
  EXPECT_TRUE(rc::check(
      [] { check_session(*rc::gen::container<std::string>(rc::gen::arbitrary<char>())); }));
}

}  // namespace
}  // namespace tokenpool::fuzz
