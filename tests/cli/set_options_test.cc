#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/set.h"

namespace tokenpool::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Words = std::vector<std::string>;

std::string params_of(const Words& words) {
  const auto call = parse_set(words);
  EXPECT_TRUE(call.has_value()) << call.error().sentence;
  return call ? set_params(*call) : "";
}

std::string refused(const Words& words) {
  const auto call = parse_set(words);
  EXPECT_FALSE(call.has_value());
  if (call) return {};
  EXPECT_EQ(call.error().status, 2);
  EXPECT_THAT(call.error().sentence, Not(HasSubstr("\n")));
  return call.error().sentence;
}

TEST(SetOptions, OneCallForAll) {
  EXPECT_EQ(params_of({"jobs=4", "limit.link=2", "limit.x.y-z_1=none", "limit.t=0"}),
            R"({"slots":4,"limits":{"link":2,"x.y-z_1":null,"t":0}})");
  EXPECT_EQ(params_of({"jobs=1"}), R"({"slots":1})");
  EXPECT_EQ(params_of({"jobs=512"}), R"({"slots":512})");
}

TEST(SetOptions, TheLastOneOfAKeyWins) {
  EXPECT_EQ(params_of({"jobs=4", "limit.a=1", "jobs=5", "limit.a=none"}),
            R"({"slots":5,"limits":{"a":null}})");
}

TEST(SetOptions, PauseIsAMember) {
  wire::SetCall call;
  call.paused = true;
  EXPECT_EQ(set_params(call), R"({"paused":true})");
}

TEST(SetOptions, ALeaseIsEnded) {
  EXPECT_EQ(params_of({"lease.7=0"}), R"({"lease":7})");
  EXPECT_EQ(params_of({"jobs=2", "lease.9007199254740991=0"}),
            R"({"slots":2,"lease":9007199254740991})");
  EXPECT_EQ(params_of({"lease.7=0", "lease.7=0"}), R"({"lease":7})");
  EXPECT_EQ(refused({"lease.7=0", "lease.8=0"}),
            "lease.8=0: lease 7 is to end, too; give one lease at a time");
  EXPECT_EQ(refused({"lease.7=1"}), "lease.7=1: a lease is only ended here, give lease.7=0");
  EXPECT_EQ(refused({"lease.7"}), "lease.7: no value, give lease.7=0");
  for (const char* word : {"lease.=0", "lease.0=0", "lease.x=0", "lease.9007199254740992=0"}) {
    EXPECT_THAT(refused({word}), HasSubstr("no number of a lease")) << word;
  }
}

TEST(SetOptions, NothingToSet) { EXPECT_THAT(refused({}), StartsWith("nothing to set: give")); }

TEST(SetOptions, UnknownKeys) {
  EXPECT_EQ(refused({"job=4"}),
            "job=4: no such key (the nearest is jobs); see tokenpool set --help");
  EXPECT_THAT(refused({"slots=4"}), HasSubstr("the nearest is jobs"));
  EXPECT_THAT(refused({"limits.link=4"}), HasSubstr("the nearest is limit.TYPE"));
  EXPECT_THAT(refused({"limit=4"}), HasSubstr("the nearest is limit.TYPE"));
  EXPECT_THAT(refused({"paused=true"}), HasSubstr("tokenpool pause"));
  EXPECT_THAT(refused({"colour=blue"}), HasSubstr("the keys are jobs, limit.TYPE and lease.N"));
  EXPECT_THAT(refused({"leases.7=0"}), HasSubstr("the nearest is lease.N"));
  EXPECT_THAT(refused({""}), StartsWith(": no such key"));
  EXPECT_THAT(refused({"jobs=4", "4"}), StartsWith("4: no such key"));
}

TEST(SetOptions, ValuesOutOfBounds) {
  for (const char* word : {"jobs=0", "jobs=513", "jobs=-1", "jobs=", "jobs=4x",
                           "jobs=99999999999999999999", "jobs=2.0", "jobs= 4"}) {
    EXPECT_EQ(refused({word}), std::string(word) + ": no number of slots, give 1-512");
  }
  for (const char* word : {"limit.a=-1", "limit.a=513", "limit.a=", "limit.a=null"}) {
    EXPECT_EQ(refused({word}), std::string(word) + ": no limit, give 0-512 or none");
  }
  EXPECT_EQ(refused({"jobs"}), "jobs: no value, give jobs=4");
  EXPECT_EQ(refused({"limit.link"}), "limit.link: no value, give limit.link=2 or =none");
}

TEST(SetOptions, ARunningPoolIsGivenNoRange) {
  for (const char* value : {"auto", "4-16"}) {
    const std::string word = std::string("jobs=") + value;
    EXPECT_EQ(refused({word}), word +
                                   ": a running pool is only given a number of slots, 1-512; "
                                   "begin it with -j " +
                                   value);
  }
}

TEST(SetOptions, TypesThatAreNone) {
  for (const std::string& word :
       {std::string("limit.=2"), std::string("limit.a b=2"), std::string("limit.\xc3\xa9=2"),
        "limit." + std::string(33, 'a') + "=2"}) {
    EXPECT_THAT(refused({word}), HasSubstr("no name of a type")) << word;
  }
  EXPECT_NE(params_of({"limit." + std::string(32, 'a') + "=2"}), "");
}

TEST(SetOptions, AtMostAsManyLimitsAsAnArbiterHas) {
  Words words;
  for (int i = 0; i < 64; ++i) words.push_back("limit.t" + std::to_string(i) + "=1");
  EXPECT_NE(params_of(words), "");
  words.emplace_back("limit.more=1");
  EXPECT_THAT(refused(words), HasSubstr("at most 64"));
}

TEST(SetText, WhatIsNow) {
  EXPECT_EQ(set_text(R"({"slots":4,"limits":[{"type":"link","limit":2,"used":1}],"paused":false})"),
            "slots 4, limits link=2");
  EXPECT_EQ(set_text(R"({"slots":4,"limits":[],"paused":true})"), "slots 4, no limits, paused");
  EXPECT_EQ(set_text(R"({"slots":1,"limits":[{"type":"a","limit":0},{"type":"b","limit":3}]})"),
            "slots 1, limits a=0 b=3");
}

TEST(SetText, AnswersThatAreNone) {
  for (const char* result : {"", "[]", "{}", R"({"slots":"4"})", R"({"slots":4,"limits":[1]})",
                             R"({"slots":4,"limits":[{"type":1,"limit":2}]})"}) {
    const auto text = set_text(result);
    ASSERT_FALSE(text.has_value()) << result;
    EXPECT_EQ(text.error().status, 1);
  }
}

}  // namespace
}  // namespace tokenpool::cli
