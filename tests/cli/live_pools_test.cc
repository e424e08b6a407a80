#include "cli/live_pools.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tokenpool::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

LivePool run(int pid, const std::string& command, const std::string& folder, bool over = false) {
  LivePool pool{{"unix:/run/" + std::to_string(pid), std::string(64, '7')},
                wire::StatusResult{},
                R"({"slots":4,"pid":)" + std::to_string(pid + 3) + "}"};
  pool.status->slots = 4;
  pool.status->free = 1;
  pool.status->pid = pid + 3;
  pool.status->run = wire::RunStatus{};
  pool.status->run->command = command;
  pool.status->run->folder = folder;
  pool.status->run->pid = over ? 0 : pid;
  pool.status->run->age_ms = 65'000;
  pool.status->run->over = over;
  return pool;
}

LivePool server(int pid) {
  LivePool pool{{"unix:/s", std::string(64, '8')}, wire::StatusResult{}, "{}"};
  pool.status->pid = pid;
  return pool;
}

const std::vector<LivePool> kPools{run(100, "make -C lib", "/home/me/one"),
                                   run(200, "ninja", "/home/me/two/src"),
                                   run(300, "sh daemon", "/home/me/two/src", true), server(400)};

std::size_t meant(const std::string& word, const std::string& here = "/home/me") {
  const auto place = meant_pool(kPools, word, here);
  EXPECT_TRUE(place.has_value()) << place.error().sentence;
  return place.value_or(99);
}

std::string refused(const std::string& word) {
  const auto place = meant_pool(kPools, word, "/home/me");
  EXPECT_FALSE(place.has_value());
  return place ? std::string() : place.error().sentence;
}

TEST(LivePools, AreNamedByNumberPidOrFolder) {
  EXPECT_EQ(meant("1"), 0U);
  EXPECT_EQ(meant("4"), 3U);
  EXPECT_EQ(meant("200"), 1U);
  EXPECT_EQ(meant("203"), 1U) << "the arbiter's";
  EXPECT_EQ(meant("400"), 3U);
  EXPECT_EQ(meant("/home/me/one/"), 0U);
  EXPECT_EQ(meant("one"), 0U);
  EXPECT_EQ(meant("../one", "/home/me/two"), 0U);
  EXPECT_EQ(meant(".", "/home/me/one"), 0U);
  EXPECT_EQ(meant("one", "/elsewhere"), 0U) << "its last part";
  EXPECT_EQ(meant("src"), 1U) << "the one that is not over";
}

TEST(LivePools, WhatIsNotMeantIsToldWithWhatCouldBe) {
  EXPECT_EQ(refused("5"),
            "5: no pool of yours is called so; give one of 1 make -C lib in /home/me/one, 2 ninja "
            "in /home/me/two/src, 3 sh daemon (over) in /home/me/two/src, 4 tokenpool serve");
  EXPECT_THAT(refused("x\033[2J"), HasSubstr("x?[2J: no pool"));
  EXPECT_THAT(refused("-1"), HasSubstr("no pool"));
  const auto none = meant_pool({}, "1", "/");
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().sentence, "1: no pool of yours is called so; none is running");
  EXPECT_EQ(none.error().status, 1);
}

TEST(LivePools, TwoOfOneFolderAreTold) {
  const std::vector<LivePool> two{run(1, "a", "/w"), run(2, "b", "/w")};
  const auto place = meant_pool(two, "w", "/");
  ASSERT_FALSE(place.has_value());
  EXPECT_THAT(place.error().sentence, HasSubstr("w: more than one pool of yours"));
}

TEST(LivePools, TheOnlyOneThatIsNotOver) {
  EXPECT_EQ(only_living({kPools[2], kPools[0]}), 1U);
  EXPECT_EQ(only_living(kPools), std::nullopt);
  EXPECT_EQ(only_living({kPools[2]}), std::nullopt);
  EXPECT_EQ(only_living({LivePool{{"unix:/x", ""}, std::nullopt, {}}}), std::nullopt);
}

TEST(LivePools, ListedForPeople) {
  std::vector<LivePool> pools = kPools;
  pools[2].status->jobs = {{0, 301, "sleep 9", 5}, {0, 302, "sleep 9", 5}};
  pools[1].status->run->command = "ninja \033x\n";
  pools.push_back({{"unix:/dead", ""}, std::nullopt, {}});
  EXPECT_EQ(pools_text(pools, {}),
            R"(  #  PID  SLOTS  FREE  SINCE  STATE         FOLDER            COMMAND
  1  100      4     1  1m05s  runs          /home/me/one      make -C lib
  2  200      4     1  1m05s  runs          /home/me/two/src  ninja ?x?
  3  303      4     1  1m05s  over, 2 left  /home/me/two/src  sh daemon
  4  400      0     0     0s  serves                          tokenpool serve
  5    ?                      silent                          does not answer...
)");
  EXPECT_THAT(pools_text(pools, {kWholeLines, false, 0}), HasSubstr("answer, at unix:/dead\n"));
  EXPECT_EQ(pools_text({}, {}), "no pool of yours is running\n");
}

TEST(LivePools, ListedForPrograms) {
  const std::string json = pools_json({kPools[0]});
  EXPECT_EQ(json,
            "{\n  \"schema\": \"tokenpool-pools\",\n  \"version\": 1,\n  \"pools\": [\n    {\n"
            "      \"number\": 1,\n      \"address\": \"unix:/run/100\",\n      \"slots\": 4,\n"
            "      \"pid\": 103\n    }\n  ]\n}\n");
  EXPECT_THAT(json, Not(HasSubstr("7777"))) << "the cookie";
}

}  // namespace
}  // namespace tokenpool::cli
