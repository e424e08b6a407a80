#include "cli/surroundings.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/json.h"

namespace tokenpool::cli {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Key;
using ::testing::Not;
using ::testing::Pair;

bool only_f(const std::string& fifo) { return fifo == "/f"; }

TEST(Surroundings, NoPool) {
  EXPECT_FALSE(find_surroundings({"PATH=/bin"}, {{"HOME=/"}}, only_f));
  EXPECT_FALSE(find_surroundings({"TOKENPOOL_FIFO=/gone"}, {{"TOKENPOOL_FIFO="}}, only_f));
}

TEST(Surroundings, AShellThatLostEverything) {
  const auto found = find_surroundings(
      {"PATH=/bin", "MFLAGS=-j", "HOME=/"},
      {{"PATH=/bin"}, {"TOKENPOOL_FIFO=/f", "TOKENPOOL_SHIMS=/s", "MAKEFLAGS= -j4", "HOME=/root"}},
      only_f);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->fifo, "/f");
  EXPECT_THAT(found->set, ElementsAre(Pair("MAKEFLAGS", " -j4"), Pair("PATH", "/s:/bin"),
                                      Pair("TOKENPOOL_FIFO", "/f"), Pair("TOKENPOOL_SHIMS", "/s")));
  EXPECT_THAT(found->unset, ElementsAre("MFLAGS"));
}

TEST(Surroundings, TheFarthestOfTheSamePoolIsWhatRunComposed) {
  const Environment recipe{"TOKENPOOL_FIFO=/f", "MAKEFLAGS= -j --jobserver-auth=-2,-2"};
  const Environment command{"TOKENPOOL_FIFO=/f", "MAKEFLAGS= -j4 --jobserver-auth=fifo:/f"};
  const Environment outside{"MAKEFLAGS=k"};
  const auto found = find_surroundings(recipe, {recipe, command, outside}, only_f);
  ASSERT_TRUE(found);
  EXPECT_THAT(found->set, Contains(Pair("MAKEFLAGS", " -j4 --jobserver-auth=fifo:/f")));
}

TEST(Surroundings, TheNearestPoolIsOurs) {
  const auto found = find_surroundings(
      {}, {{"TOKENPOOL_FIFO=/f", "MAKEFLAGS=inner"}, {"TOKENPOOL_FIFO=/outer", "MAKEFLAGS=outer"}},
      [](const std::string&) { return true; });
  ASSERT_TRUE(found);
  EXPECT_EQ(found->fifo, "/f");
  EXPECT_THAT(found->set, Contains(Pair("MAKEFLAGS", "inner")));
}

TEST(Surroundings, ShimsFirstOnPathStay) {
  for (const char* path : {"PATH=/s:/bin", "PATH=/s"}) {
    const auto found =
        find_surroundings({path, "TOKENPOOL_FIFO=/f", "TOKENPOOL_SHIMS=/s"}, {}, only_f);
    ASSERT_TRUE(found);
    EXPECT_THAT(found->set, Not(Contains(Key("PATH"))));
  }
}

TEST(Surroundings, WithoutAPathThatOfTheRunIsTaken) {
  const auto found = find_surroundings(
      {}, {{"TOKENPOOL_FIFO=/f", "TOKENPOOL_SHIMS=/s", "PATH=/s:/usr/bin"}}, only_f);
  ASSERT_TRUE(found);
  EXPECT_THAT(found->set, Contains(Pair("PATH", "/s:/usr/bin")));
}

TEST(Surroundings, NamesThatAShellWouldRunAreLeftOut) {
  const auto found = find_surroundings(
      {"TOKENPOOL_FIFO=/f", "TOKENPOOL_X;touch y=1", "TOKENPOOL_$(id)=1", "TOKENPOOL_"}, {},
      only_f);
  ASSERT_TRUE(found);
  EXPECT_EQ(to_shell(*found), "export TOKENPOOL_FIFO='/f'\n");
}

TEST(Surroundings, ValuesAreQuoted) {
  const Surroundings found{"/f", {{"A", "it's $(x) `y`\nz"}}, {"B"}};
  EXPECT_EQ(to_shell(found), "export A='it'\\''s $(x) `y`\nz'\nunset B\n");
  EXPECT_EQ(to_shell({"", {{"TOKENPOOL_SHIMS", "/s h"}}, {}}),
            "export TOKENPOOL_SHIMS='/s h'\n"
            "case $PATH in '/s h':*) ;; *) export PATH='/s h'\"${PATH:+:$PATH}\" ;; esac\n");
  EXPECT_EQ(to_shell({"", {{"PATH", "/s:/bin"}, {"TOKENPOOL_SHIMS", "/s"}}, {}}),
            "export PATH='/s:/bin'\nexport TOKENPOOL_SHIMS='/s'\n");
}

TEST(Surroundings, JsonSurvivesBytesThatAreNoText) {
  const Surroundings found{"/f", {{"A", "\xff"}}, {}};
  const std::string json = to_json(found);
  EXPECT_THAT(json, HasSubstr("\"schema\": \"tokenpool-env\""));
  EXPECT_THAT(json, HasSubstr("\"unset\": []"));
}

}  // namespace
}  // namespace tokenpool::cli
