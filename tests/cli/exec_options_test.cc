#include "cli/exec_options.h"

#include <chrono>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/help.h"

namespace tokenpool::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;
using Words = std::vector<std::string>;

launcher::LaunchConfig launch_of(const Words& words) {
  const auto options = parse_exec(words);
  EXPECT_TRUE(options.has_value()) << options.error().sentence;
  return options ? options->config : launcher::LaunchConfig{};
}

std::string refused(const Words& words) {
  const auto options = parse_exec(words);
  EXPECT_FALSE(options.has_value());
  if (options) return {};
  EXPECT_EQ(options.error().status, 2);
  EXPECT_THAT(options.error().sentence, Not(HasSubstr("\n")));
  return options.error().sentence;
}

TEST(ExecOptions, Defaults) {
  const launcher::LaunchConfig config = launch_of({"cc", "-c", "a.c"});
  EXPECT_THAT(config.command, ElementsAre("cc", "-c", "a.c"));
  EXPECT_EQ(config.wanted.min, 1);
  EXPECT_LE(config.wanted.max, 1);
  EXPECT_THAT(config.wanted.type, IsEmpty());
  EXPECT_THAT(config.wanted.target, IsEmpty());
  EXPECT_EQ(config.wanted.memory, 0U);
  EXPECT_EQ(config.wanted.priority, 0);
  EXPECT_FALSE(config.wanted.timeout);
  EXPECT_EQ(config.wanted.pid, 0);
  EXPECT_FALSE(config.opam);
}

TEST(ExecOptions, AllOfThem) {
  const launcher::LaunchConfig config =
      launch_of({"--slots", "2-8", "--type=link", "--target", "-", "--memory=3G", "--priority",
                 "-7", "--timeout", "1.5", "--opam", "--", "-cc", "--slots", "9"});
  EXPECT_THAT(config.command, ElementsAre("-cc", "--slots", "9"));
  EXPECT_EQ(config.wanted.min, 2);
  EXPECT_EQ(config.wanted.max, 8);
  EXPECT_EQ(config.wanted.type, "link");
  EXPECT_EQ(config.wanted.target, "-");
  EXPECT_EQ(config.wanted.memory, 3ULL << 30);
  EXPECT_EQ(config.wanted.priority, -7);
  EXPECT_EQ(config.wanted.timeout, std::chrono::milliseconds(1500));
  EXPECT_TRUE(config.opam);
}

TEST(ExecOptions, TheyEndWhereTheCommandBegins) {
  EXPECT_THAT(launch_of({"make", "--opam", "--help"}).command,
              ElementsAre("make", "--opam", "--help"));
  EXPECT_FALSE(launch_of({"make", "--opam"}).opam);
  EXPECT_THAT(launch_of({"--", "--", "a"}).command, ElementsAre("--", "a"));
}

TEST(ExecOptions, TheLastOneWins) {
  EXPECT_EQ(launch_of({"--slots", "3", "--slots=2-4", "a"}).wanted.max, 4);
  EXPECT_EQ(launch_of({"--type", "a", "--type", "b", "a"}).wanted.type, "b");
  const launcher::LaunchConfig narrow = launch_of({"--slots", "2-4", "--slots=3", "a"});
  EXPECT_EQ(narrow.wanted.min, 3);
  EXPECT_EQ(narrow.wanted.max, 3);
}

TEST(ExecOptions, Help) {
  for (const Words& words : {Words{"--help"}, Words{"-h", "a"}, Words{"--slots", "2", "--help"}}) {
    const auto options = parse_exec(words);
    ASSERT_TRUE(options.has_value());
    EXPECT_TRUE(options->help);
  }
}

TEST(ExecOptions, Slots) {
  EXPECT_EQ(launch_of({"--slots", "512", "a"}).wanted.min, 512);
  EXPECT_EQ(launch_of({"--slots", "1-512", "a"}).wanted.max, 512);
  for (const char* text : {"0", "-1", "513", "0-4", "4-0", "1-513", "8-1", "1-", "-", "x", "1-2-3",
                           "1 ", " 1", "+1", "1.0", "auto", "99999999999999999999", "1--2"}) {
    EXPECT_THAT(refused({"--slots", text, "a"}), StartsWith(std::string("--slots ") + text + ": "))
        << text;
    EXPECT_THAT(refused({"--slots", text, "a"}), HasSubstr("1-512")) << text;
  }
}

TEST(ExecOptions, Type) {
  EXPECT_EQ(launch_of({"--type", "A-z_0.9", "a"}).wanted.type, "A-z_0.9");
  EXPECT_EQ(launch_of({"--type", std::string(32, 'x'), "a"}).wanted.type.size(), 32U);
  EXPECT_THAT(refused({"--type", std::string(33, 'x'), "a"}), HasSubstr("at most 32"));
  EXPECT_THAT(refused({"--type", "a b", "a"}), HasSubstr("for example link"));
  EXPECT_THAT(refused({"--type", "\xc3\xa9", "a"}), HasSubstr("for example link"));
}

TEST(ExecOptions, Memory) {
  EXPECT_EQ(launch_of({"--memory", "1", "a"}).wanted.memory, 1U);
  EXPECT_EQ(launch_of({"--memory", "2K", "a"}).wanted.memory, 2048U);
  EXPECT_EQ(launch_of({"--memory", "512M", "a"}).wanted.memory, 512ULL << 20);
  EXPECT_EQ(launch_of({"--memory", "1T", "a"}).wanted.memory, 1ULL << 40);
  EXPECT_EQ(launch_of({"--memory", "9007199254740991", "a"}).wanted.memory, (1ULL << 53) - 1);
  for (const char* text : {"0", "-1", "K", "1.5G", "1GB", "9007199254740992", "8192T", "1 G", "x",
                           "99999999999999999T"})
    EXPECT_THAT(refused({"--memory", text, "a"}), HasSubstr("for example 512M")) << text;
}

TEST(ExecOptions, Priority) {
  EXPECT_EQ(launch_of({"--priority=-100", "a"}).wanted.priority, -100);
  EXPECT_EQ(launch_of({"--priority", "100", "a"}).wanted.priority, 100);
  for (const char* text : {"101", "-101", "1.0", "high"})
    EXPECT_THAT(refused({"--priority", text, "a"}), HasSubstr("-100 to 100")) << text;
}

TEST(ExecOptions, Timeout) {
  using std::chrono::milliseconds;
  EXPECT_EQ(launch_of({"--timeout", "0", "a"}).wanted.timeout, milliseconds(0));
  EXPECT_EQ(launch_of({"--timeout", "0.05", "a"}).wanted.timeout, milliseconds(50));
  EXPECT_EQ(launch_of({"--timeout", "86400", "a"}).wanted.timeout, milliseconds(86'400'000));
  EXPECT_EQ(launch_of({"--timeout", "2.125", "a"}).wanted.timeout, milliseconds(2125));
  for (const char* text : {"86400.001", "86401", "-1", "-0.5", "1.", ".5", "1.2345", "1.-5", "1s",
                           "inf", "0x10", "9223372036854775807", "1e3"})
    EXPECT_THAT(refused({"--timeout", text, "a"}), HasSubstr("give seconds, 0 to 86400")) << text;
}

TEST(ExecOptions, WhatIsMissing) {
  EXPECT_THAT(refused({}), HasSubstr("no command to run"));
  EXPECT_THAT(refused({"--"}), HasSubstr("no command to run"));
  EXPECT_THAT(refused({"--opam"}), HasSubstr("no command to run"));
  EXPECT_THAT(refused({""}), HasSubstr("is a variable unset?"));
  EXPECT_THAT(refused({"--", ""}), HasSubstr("is a variable unset?"));
  EXPECT_THAT(refused({"--slots"}), HasSubstr("a value must follow"));
  for (const char* option :
       {"--slots", "--type", "--target", "--memory", "--priority", "--timeout"}) {
    EXPECT_THAT(refused({std::string(option) + "=", "a"}), HasSubstr("is a variable unset?"));
    EXPECT_THAT(refused({option, "", "a"}), HasSubstr("is a variable unset?"));
  }
}

TEST(ExecOptions, WhatIsUnknown) {
  EXPECT_THAT(refused({"--slot=3", "a"}), HasSubstr("--slot: no such option (the nearest is"));
  EXPECT_THAT(refused({"--tpye", "x", "a"}), HasSubstr("(the nearest is --type)"));
  EXPECT_THAT(refused({"-j4", "a"}), StartsWith("-j4: no such option; see tokenpool exec --help"));
  EXPECT_THAT(refused({"--opam=1", "a"}), StartsWith("--opam: it takes no value"));
}

TEST(ExecOptions, HelpNamesThemAll) {
  const std::string text = help_text("exec", false);
  for (const char* option : {"--slots", "--type", "--target", "--memory", "--priority", "--timeout",
                             "--opam", "--help", "{slots}", "TOKENPOOL_SLOTS"}) {
    EXPECT_THAT(text, HasSubstr(option));
  }
}

TEST(WithSlots, ReplacesTheWord) {
  using launcher::with_slots;
  EXPECT_EQ(with_slots("{slots}", 8), "8");
  EXPECT_EQ(with_slots("-T{slots}", 12), "-T12");
  EXPECT_EQ(with_slots("{slots},{slots}", 3), "3,3");
  EXPECT_EQ(with_slots("", 3), "");
  EXPECT_EQ(with_slots("{slot}{slotss} {slots", 3), "{slot}{slotss} {slots");
  EXPECT_EQ(with_slots("{{slots}}", 3), "{slots}");
  EXPECT_EQ(with_slots("a{{slots}}b{slots}c", 3), "a{slots}b3c");
  EXPECT_EQ(with_slots("{{slots}", 3), "{3");
  EXPECT_EQ(with_slots("{{{slots}}}", 3), "{{slots}}");
}

}  // namespace
}  // namespace tokenpool::cli
