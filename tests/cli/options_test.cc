#include "cli/options.h"

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
using Words = std::vector<std::string>;

front::RunConfig run_of(const Words& words) {
  const auto options = parse_run(words, 6);
  EXPECT_TRUE(options.has_value()) << options.error().sentence;
  return options ? options->config : front::RunConfig{};
}

std::string refused(const Words& words) {
  const auto options = parse_run(words, 6);
  EXPECT_FALSE(options.has_value());
  if (options) return {};
  EXPECT_EQ(options.error().status, 2);
  EXPECT_THAT(options.error().sentence, Not(HasSubstr("\n")));
  return options.error().sentence;
}

TEST(RunOptions, Defaults) {
  const front::RunConfig config = run_of({"make"});
  EXPECT_THAT(config.command, ElementsAre("make"));
  EXPECT_EQ(config.slots, (core::SlotRange{6, 6}));
  EXPECT_EQ(config.track, front::Track::automatic);
  EXPECT_TRUE(config.shims);
  EXPECT_FALSE(config.report_path);
  EXPECT_FALSE(config.quiet);
}

TEST(RunOptions, AllOfThem) {
  const front::RunConfig config = run_of(
      {"-qj4", "--track", "exact", "--shims=off", "--report", "out.json", "--", "ninja", "all"});
  EXPECT_THAT(config.command, ElementsAre("ninja", "all"));
  EXPECT_EQ(config.slots, (core::SlotRange{4, 4}));
  EXPECT_EQ(config.track, front::Track::exact);
  EXPECT_FALSE(config.shims);
  EXPECT_EQ(config.report_path, "out.json");
  EXPECT_TRUE(config.quiet);
}

TEST(RunOptions, Enforce) {
  EXPECT_FALSE(run_of({"make"}).enforce);
  EXPECT_TRUE(run_of({"--enforce", "make"}).enforce);
  EXPECT_FALSE(run_of({"make", "--enforce"}).enforce);
}

TEST(RunOptions, Wrap) {
  EXPECT_FALSE(run_of({"make"}).wrap);
  const front::RunConfig bare = run_of({"--wrap", "make"});
  EXPECT_EQ(bare.wrap, dialect::WrapNames{});
  EXPECT_THAT(bare.command, ElementsAre("make"));
  EXPECT_EQ(run_of({"--wrap=cc,myc", "make"}).wrap, (dialect::WrapNames{false, {"cc", "myc"}, {}}));
  EXPECT_EQ(run_of({"--wrap", "--wrap=+true", "make"}).wrap,
            (dialect::WrapNames{true, {"true"}, {}}));
  EXPECT_THAT(refused({"--wrap=", "make"}), HasSubstr("--wrap=: an empty value"));
  EXPECT_THAT(refused({"--wrap=cc,ninja", "make"}), HasSubstr("ninja is no compiler"));
  EXPECT_THAT(refused({"--wrap=+tokenpool", "make"}), HasSubstr("tokenpool is no compiler"));
  EXPECT_THAT(refused({"--wrap=a/cc", "make"}), HasSubstr("give cc"));
}

TEST(RunOptions, TheLastOneWins) {
  EXPECT_EQ(run_of({"-j3", "-j", "5", "make"}).slots, (core::SlotRange{5, 5}));
  EXPECT_EQ(run_of({"-j0", "-j", "2-9", "make"}).slots, (core::SlotRange{2, 9}));
  EXPECT_EQ(run_of({"--track=exact", "--track=infer", "make"}).track, front::Track::infer);
  EXPECT_EQ(run_of({"--report", "a", "--report", "b", "make"}).report_path, "b");
}

TEST(RunOptions, WhatFollowsTheCommandBelongsToIt) {
  EXPECT_THAT(run_of({"make", "-j9", "--help"}).command, ElementsAre("make", "-j9", "--help"));
  EXPECT_THAT(run_of({"-j2", "cmake", "--build", "x", "--", "-k"}).command,
              ElementsAre("cmake", "--build", "x", "--", "-k"));
  EXPECT_THAT(run_of({"--", "--odd", "-j9"}).command, ElementsAre("--odd", "-j9"));
  EXPECT_THAT(run_of({"--", "--", "x"}).command, ElementsAre("--", "x"));
  EXPECT_THAT(run_of({"sh", "-c", "a b; c", ""}).command, ElementsAre("sh", "-c", "a b; c", ""));
  EXPECT_THAT(run_of({"x", "++", "[a,b]", "{c}"}).command, ElementsAre("x", "++", "[a,b]", "{c}"));
}

TEST(RunOptions, BadOnesAreNamed) {
  EXPECT_THAT(refused({}), HasSubstr("no command"));
  EXPECT_THAT(refused({"-j4", "--"}), HasSubstr("no command"));
  EXPECT_THAT(refused({""}), HasSubstr("empty name"));
  EXPECT_THAT(refused({"-j0", "make"}), HasSubstr("-j 0: "));
  EXPECT_THAT(refused({"-j-1", "make"}), HasSubstr("-j -1: "));
  EXPECT_THAT(refused({"-j", "-1", "make"}), HasSubstr("-j -1: "));
  EXPECT_THAT(refused({"-j", "5000", "make"}), HasSubstr("limit is 512"));
  EXPECT_THAT(refused({"-j8-4", "make"}), HasSubstr("-j 8-4: "));
  EXPECT_THAT(refused({"-j"}), HasSubstr("-j: a value must follow"));
  EXPECT_THAT(refused({"--wrap=cc", "-j"}), HasSubstr("-j: a value must follow"));
  for (const char* flag : {"--enforce=x", "--enforce=off", "--help=3", "--allow-remote=no"}) {
    EXPECT_THAT(refused({flag, "make"}), HasSubstr(std::string(flag) + ": it takes no value"));
  }
  EXPECT_THAT(refused({"--track", "fast", "make"}), HasSubstr("auto, exact or infer"));
  EXPECT_THAT(refused({"--shims", "yes", "make"}), HasSubstr("on or off"));
  EXPECT_THAT(refused({"--report", "", "make"}), HasSubstr("--report"));
  EXPECT_THAT(refused({"--tack=exact", "make"}), HasSubstr("nearest is --track"));
}

TEST(RunOptions, WhatIsNotThereIsUnknown) {
  for (const char* option : {"--trace", "--memory", "--job", "-x", "-k"}) {
    EXPECT_THAT(refused({option, "1", "make"}),
                HasSubstr(std::string(option) + ": no such option"));
  }
}

TEST(RunOptions, HelpChecksNothingElse) {
  const auto options = parse_run({"--help", "-j0"}, 6);
  ASSERT_TRUE(options.has_value());
  EXPECT_TRUE(options->help);
}

TEST(PrintOptions, JsonHelpAndNothingElse) {
  EXPECT_EQ(parse_print("env", {}).value(), (PrintOptions{}));
  EXPECT_EQ(parse_print("env", {"--json"}).value(), (PrintOptions{false, true, false}));
  EXPECT_EQ(parse_print("env", {"-h"}).value(), (PrintOptions{true, false, false}));
  EXPECT_EQ(parse_print("env", {"-v"}).value(), (PrintOptions{false, false, true}));
  EXPECT_THAT(parse_print("env", {"x"}).error().sentence, HasSubstr("x: it takes no arguments"));
  EXPECT_THAT(parse_print("env", {"--jason"}).error().sentence, HasSubstr("nearest is --json"));
  EXPECT_EQ(parse_print("env", {"x"}).error().status, 2);
}

TEST(Help, NamesEveryOptionOfRun) {
  const std::string text = help_text("run", false);
  for (const char* option : {"-j N|MIN-MAX|cpus|auto", "--track auto|exact|infer", "--shims on|off",
                             "--report FILE", "  -q ", "--help", "Examples:", "Exit status:"}) {
    EXPECT_THAT(text, HasSubstr(option));
  }
}

TEST(Help, EveryCommandButHelpHasItsOwn) {
  for (const std::string& command : command_names()) {
    if (command == "help") continue;
    EXPECT_THAT(help_text(command, false), HasSubstr("tokenpool " + command));
    EXPECT_THAT(help_text("", false), HasSubstr("tokenpool " + command));
  }
  EXPECT_EQ(help_text("nothing", false), "");
}

TEST(Help, HeadingsAreBoldInColourOnly) {
  EXPECT_THAT(help_text("run", true), HasSubstr("\033[1mUsage:\033[0m"));
  EXPECT_THAT(help_text("run", false), Not(HasSubstr("\033")));
}

}  // namespace
}  // namespace tokenpool::cli
