#include "cli/status_options.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/help.h"

namespace tokenpool::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Words = std::vector<std::string>;

StatusOptions read(std::string_view command, const Words& words) {
  const auto options = parse_status_options(command, words);
  EXPECT_TRUE(options.has_value()) << options.error().sentence;
  return options ? *options : StatusOptions{};
}

std::string refused(std::string_view command, const Words& words) {
  const auto options = parse_status_options(command, words);
  EXPECT_FALSE(options.has_value());
  if (options) return {};
  EXPECT_EQ(options.error().status, 2);
  EXPECT_THAT(options.error().sentence, Not(HasSubstr("\n")));
  return options.error().sentence;
}

TEST(StatusOptions, Defaults) {
  for (const char* command : {"status", "env", "set", "pause", "resume"}) {
    EXPECT_EQ(read(command, {}), StatusOptions{}) << command;
  }
}

TEST(StatusOptions, AllOfThem) {
  const StatusOptions options =
      read("status", {"--watch", "--server=tcp:[::1]:7", "--json", "--cookie-file", "./c"});
  EXPECT_TRUE(options.json);
  EXPECT_TRUE(options.watch);
  ASSERT_TRUE(options.server.server);
  EXPECT_EQ(to_string(*options.server.server), "tcp:[::1]:7");
  EXPECT_EQ(options.server.cookie_file, "./c");
}

TEST(StatusOptions, TheLastOneWins) {
  const StatusOptions options = read("pause", {"--server", "/a", "--server=unix:/b"});
  ASSERT_TRUE(options.server.server);
  EXPECT_EQ(options.server.server->path, "/b");
}

TEST(StatusOptions, HelpChecksNothingElse) {
  EXPECT_TRUE(read("resume", {"-h", "x"}).help);
  EXPECT_TRUE(read("set", {"jobs=0", "--help", "--nope"}).help);
}

TEST(StatusOptions, ARunIsNamedByAWord) {
  for (const char* command : {"status", "pause", "resume"}) {
    EXPECT_EQ(read(command, {"2"}).server.run, "2") << command;
    EXPECT_EQ(read(command, {"--run", "a/b"}).server.run, "a/b") << command;
    EXPECT_EQ(read(command, {"--", "--odd"}).server.run, "--odd") << command;
    EXPECT_THAT(refused(command, {"2", "3"}), StartsWith("3: one run can be named, and 2 is"));
    EXPECT_THAT(refused(command, {""}), StartsWith("'': an empty name"));
    EXPECT_THAT(refused(command, {"2", "--server", "/s"}), HasSubstr("give one of them"));
  }
  EXPECT_EQ(read("set", {"--run=7", "jobs=2"}).server.run, "7");
  EXPECT_EQ(read("env", {"--run=7"}).server.run, "7");
  EXPECT_TRUE(read("status", {"--all"}).all);
  EXPECT_THAT(refused("pause", {"--all"}), HasSubstr("no such option"));
}

TEST(StatusOptions, OnlySetHasWords) {
  EXPECT_THAT(read("set", {"jobs=4", "--server", "/s", "limit.a=1", "--", "--odd=1"}).words,
              ElementsAre("jobs=4", "limit.a=1", "--odd=1"));
  EXPECT_THAT(refused("env", {"--", "--json"}), StartsWith("--json: it takes no arguments"));
}

TEST(StatusOptions, EachCommandHasItsOwn) {
  EXPECT_TRUE(read("env", {"--json"}).json);
  EXPECT_THAT(refused("env", {"--watch"}), HasSubstr("no such option"));
  EXPECT_THAT(refused("set", {"--json"}), HasSubstr("no such option"));
  EXPECT_THAT(refused("pause", {"--json"}), HasSubstr("see tokenpool pause --help"));
}

TEST(StatusOptions, NamesTheNearest) {
  EXPECT_THAT(refused("status", {"--sever", "/a"}), HasSubstr("(the nearest is --server)"));
  EXPECT_THAT(refused("status", {"--wacth"}), HasSubstr("(the nearest is --watch)"));
  EXPECT_THAT(refused("status", {"--jsn=1"}), StartsWith("--jsn: no such option"));
  EXPECT_THAT(refused("status", {"-x"}), StartsWith("-x: no such option;"));
}

TEST(StatusOptions, ValuesThatAreMissingOrTooMany) {
  EXPECT_THAT(refused("status", {"--server"}), HasSubstr("a value must follow"));
  EXPECT_THAT(refused("status", {"--server="}), HasSubstr("is a variable unset?"));
  EXPECT_THAT(refused("status", {"--cookie-file", ""}), HasSubstr("is a variable unset?"));
  EXPECT_THAT(refused("status", {"--json=yes"}), HasSubstr("it takes no value"));
}

TEST(StatusOptions, TheServerIsAnAddressOrAPath) {
  EXPECT_EQ(to_string(*read("status", {"--server", "/run/a/socket"}).server.server),
            "unix:/run/a/socket");
  EXPECT_THAT(
      to_string(*read("status", {"--server", "./a/../s"}).server.server),
      ::testing::AllOf(StartsWith("unix:/"), ::testing::EndsWith("/s"), Not(HasSubstr(".."))));
  EXPECT_THAT(refused("status", {"--server", "socket"}), HasSubstr("give unix:/path"));
  EXPECT_THAT(refused("status", {"--server", "tcp:host:1"}), HasSubstr("--server: "));
  EXPECT_THAT(refused("status", {"--server", "/a;/b"}), HasSubstr("';'"));
  EXPECT_THAT(refused("status", {"--server", "/" + std::string(200, 'a')}), HasSubstr("108 bytes"));
}

TEST(StatusOptions, TheHelpNamesThem) {
  for (const char* command : {"status", "env", "set", "pause", "resume"}) {
    for (const char* option : {"--server ADDR", "--cookie-file FILE", "--help", "Exit status:"}) {
      EXPECT_THAT(help_text(command, false), HasSubstr(option)) << command;
    }
  }
  for (const char* word : {"--json", "--watch", "130"}) {
    EXPECT_THAT(help_text("status", false), HasSubstr(word));
  }
  EXPECT_THAT(help_text("set", false), HasSubstr("limit.TYPE=N|none"));
}

}  // namespace
}  // namespace tokenpool::cli
