#include "cli/defaults.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/exec_options.h"
#include "cli/options.h"

namespace tokenpool::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using Texts = std::vector<std::string>;

Defaults defaults_of(const std::string& user, const std::string& project, Texts variables = {}) {
  Defaults defaults;
  defaults.variables = std::move(variables);
  if (!user.empty()) defaults.user = {"/u.toml", user};
  if (!project.empty()) defaults.project = {"/p.toml", project};
  return defaults;
}

front::RunConfig run_with(const Defaults& defaults, Texts words = {}) {
  words.emplace_back("make");
  const auto options = parse_run(words, 6, defaults);
  EXPECT_TRUE(options.has_value()) << options.error().sentence;
  return options ? options->config : front::RunConfig{};
}

std::string run_error(const Defaults& defaults) {
  const auto options = parse_run({"make"}, 6, defaults);
  EXPECT_FALSE(options.has_value());
  if (options) return {};
  EXPECT_EQ(options.error().status, 2);
  return options.error().sentence;
}

launcher::LaunchConfig exec_with(const Defaults& defaults, Texts words = {}) {
  words.emplace_back("cc");
  const auto options = parse_exec(words, defaults);
  EXPECT_TRUE(options.has_value()) << options.error().sentence;
  return options ? options->config : launcher::LaunchConfig{};
}

TEST(RunDefaults, EachKeyOfTheUsersFile) {
  const front::RunConfig config = run_with(
      defaults_of("jobs = \"2-4\"\ntrack = \"infer\"\nshims = false\nstandstill = \"off\"\n"
                  "wrap = \"+myc\"\nenforce = true\ndie_with_parent = true\nend_leftovers = true\n"
                  "report = \"r.json\"\nquiet = true\nnice = 5\nlisten = [\"tcp:0.0.0.0:0\"]\n"
                  "allow_remote = true\n[limits]\nlink = 2\n[exec]\npriority = \"not for run\"\n",
                  ""));
  EXPECT_EQ(config.slots, (core::SlotRange{2, 4}));
  EXPECT_EQ(config.track, front::Track::infer);
  EXPECT_FALSE(config.shims);
  EXPECT_EQ(config.standstill.count(), 0);
  EXPECT_EQ(config.wrap, (dialect::WrapNames{true, {"myc"}, {}}));
  EXPECT_TRUE(config.enforce && config.die_with_parent && config.end_leftovers && config.quiet);
  EXPECT_EQ(config.report_path, "r.json");
  EXPECT_EQ(config.nice, 5);
  EXPECT_EQ(config.listen.size(), 1U);
  EXPECT_THAT(config.limits, ElementsAre(std::pair<const std::string, int>("link", 2)));
}

TEST(RunDefaults, EachVariable) {
  const front::RunConfig config = run_with(defaults_of(
      "enforce = true\n", "",
      {"TOKENPOOL_JOBS=50%", "TOKENPOOL_TRACK=exact", "TOKENPOOL_SHIMS=off",
       "TOKENPOOL_STANDSTILL=9", "TOKENPOOL_WRAP=on", "TOKENPOOL_ENFORCE=off",
       "TOKENPOOL_DIE_WITH_PARENT=on", "TOKENPOOL_END_LEFTOVERS=on", "TOKENPOOL_REPORT=x",
       "TOKENPOOL_QUIET=on", "TOKENPOOL_NICE=19", "TOKENPOOL_LIMIT=link=1,a=2"}));
  EXPECT_EQ(config.slots, (core::SlotRange{3, 3}));
  EXPECT_EQ(config.track, front::Track::exact);
  EXPECT_FALSE(config.shims);
  EXPECT_EQ(config.standstill.count(), 9);
  EXPECT_EQ(config.wrap, dialect::WrapNames{});
  EXPECT_FALSE(config.enforce);
  EXPECT_TRUE(config.die_with_parent && config.end_leftovers && config.quiet);
  EXPECT_EQ(config.report_path, "x");
  EXPECT_EQ(config.nice, 19);
  EXPECT_EQ(config.limits, (std::map<std::string, int>{{"link", 1}, {"a", 2}}));
}

TEST(RunDefaults, AnEmptyVariableIsNone) {
  EXPECT_EQ(run_with(defaults_of("", "", {"TOKENPOOL_JOBS="})).slots, (core::SlotRange{6, 6}));
}

TEST(RunDefaults, WhatARunTellsItsBuildIsNoDefault) {
  const Defaults inside = defaults_of(
      "", "", {"TOKENPOOL_FIFO=/f", "TOKENPOOL_JOBS=2", "TOKENPOOL_SHIMS=/s", "TOKENPOOL_NICE=3"});
  EXPECT_EQ(run_with(inside).slots, (core::SlotRange{6, 6}));
  EXPECT_TRUE(run_with(inside).shims);
  EXPECT_EQ(run_with(inside).nice, 3);
}

TEST(RunDefaults, AProjectNarrows) {
  const auto slots = [](const std::string& user, const std::string& project) {
    return run_with(defaults_of(user, "jobs = \"" + project + "\"")).slots;
  };
  EXPECT_EQ(slots("", "4"), (core::SlotRange{4, 4}));
  EXPECT_EQ(slots("", "12"), (core::SlotRange{6, 6}));
  EXPECT_EQ(slots("jobs = 20", "12"), (core::SlotRange{12, 12}));
  EXPECT_EQ(slots("jobs = \"auto\"", "4"), (core::SlotRange{1, 4}));
  EXPECT_EQ(slots("jobs = 5", "auto"), (core::SlotRange{1, 5}));
  EXPECT_EQ(
      run_with(defaults_of("limits = {a = 1, b = 5}", "limits = {a = 3, b = 4, c = 7}")).limits,
      (std::map<std::string, int>{{"a", 1}, {"b", 4}, {"c", 7}}));
  EXPECT_EQ(run_with(defaults_of("nice = 7", "nice = 3")).nice, 7);
  EXPECT_EQ(run_with(defaults_of("nice = 2", "nice = 3")).nice, 3);
  EXPECT_EQ(run_with(defaults_of("", "wrap = true")).wrap, dialect::WrapNames{});
  EXPECT_TRUE(run_with(defaults_of("wrap = true", "wrap = false")).wrap);
  EXPECT_EQ(run_with(defaults_of("wrap = \"cc\"", "wrap = true")).wrap,
            (dialect::WrapNames{false, {"cc"}, {}}));
}

TEST(RunDefaults, WhatElseAProjectSaysIsIgnoredAndTold) {
  const auto options =
      parse_run({"make"}, 6, defaults_of("", "report = \"/etc/x\"\nlisten = []\nshims = false\n"));
  ASSERT_TRUE(options.has_value());
  EXPECT_FALSE(options->config.report_path);
  EXPECT_TRUE(options->config.shims);
  EXPECT_THAT(options->notes, ElementsAre(HasSubstr("/p.toml: listen, report, shims is ignored")));
}

TEST(RunDefaults, TheCommandLineComesFirst) {
  const Defaults all = defaults_of("jobs = 4\nlimits = {a = 1, b = 1}", "jobs = 2",
                                   {"TOKENPOOL_NICE=3", "TOKENPOOL_LIMIT=b=2"});
  EXPECT_EQ(run_with(all, {"-j9"}).slots, (core::SlotRange{9, 9}));
  EXPECT_EQ(run_with(all, {"--nice=0"}).nice, 0);
  EXPECT_EQ(run_with(all, {"--limit", "c=3"}).limits,
            (std::map<std::string, int>{{"a", 1}, {"b", 2}, {"c", 3}}));
}

TEST(RunDefaults, WhatIsWrongIsNamed) {
  EXPECT_THAT(run_error(defaults_of("\njobs = 0", "")),
              StartsWith("the configuration /u.toml, line 2: jobs: 0: a build needs"));
  EXPECT_THAT(run_error(defaults_of("jobs = 4.5", "")), HasSubstr("jobs: 4.5: not a number"));
  EXPECT_THAT(run_error(defaults_of("", "nice = \"low\"")),
              StartsWith("the configuration /p.toml, line 1: nice: low: no niceness"));
  EXPECT_THAT(run_error(defaults_of("", "limits = {compile = 0}")),
              EndsWith("limits: 0 would let none run, give 1 or more"));
  EXPECT_EQ(run_with(defaults_of("limits = {compile = 0}", "")).limits.at("compile"), 0);
  EXPECT_THAT(run_error(defaults_of("report = \"\"", "")), HasSubstr("report: '': an empty file"));
  EXPECT_THAT(run_error(defaults_of("wrap = \"make\"", "")), HasSubstr("wrap: make: make is no"));
  EXPECT_THAT(run_error(defaults_of("shims = \"on\"", "")), EndsWith("shims: give true or false"));
  EXPECT_THAT(run_error(defaults_of("limits = {a = 1, b = \"2\"}", "")),
              EndsWith("limits: give a number for b"));
  EXPECT_THAT(run_error(defaults_of("exec = 3", "")), HasSubstr("exec: no such key"));
  EXPECT_THAT(run_error(defaults_of("[run]\n[run.jobs]\n", "")), HasSubstr("line 2: jobs: give a"));
  EXPECT_THAT(run_error(defaults_of("jobs = 1\njobs = 2", "")), HasSubstr("line 2: "));
  EXPECT_THAT(run_error(defaults_of("", "", {"TOKENPOOL_STANDSTILL=soon"})),
              StartsWith("TOKENPOOL_STANDSTILL=soon: not a time"));
  EXPECT_THAT(run_error(defaults_of("", "", {"TOKENPOOL_WRAP=a/b"})),
              StartsWith("TOKENPOOL_WRAP=a/b: "));
}

TEST(ExecDefaults, OfFileAndVariables) {
  const Defaults all = defaults_of(
      "jobs = \"not for exec\"\n[exec]\ntype = \"link\"\nmemory = \"2K\"\npriority = -3\n"
      "timeout = 0.5\nalone_after = 60.0\nnice = 4\nquiet = true\nwidth_for = \"\"\n",
      "", {"TOKENPOOL_MEMORY=7", "TOKENPOOL_QUIET=off"});
  const launcher::LaunchConfig config = exec_with(all);
  EXPECT_EQ(config.wanted.type, "link");
  EXPECT_EQ(config.wanted.memory, 7U);
  EXPECT_EQ(config.wanted.priority, -3);
  EXPECT_EQ(config.wanted.timeout, client::Milliseconds(500));
  EXPECT_EQ(config.alone_after, client::Milliseconds(60'000));
  EXPECT_EQ(config.nice, 4);
  EXPECT_FALSE(config.quiet);
  EXPECT_EQ(config.width_for, "");
  EXPECT_EQ(exec_with(all, {"--nice=1"}).nice, 1);
  EXPECT_EQ(exec_with(defaults_of("", "")).width_for, launcher::kWidthVariables);
  EXPECT_EQ(exec_with(defaults_of("", "", {"TOKENPOOL_WIDTH_FOR=X"})).width_for, "X");
}

TEST(ExecDefaults, AProjectNarrows) {
  const std::string project = "[exec]\nnice = 3\npriority = 5\n";
  EXPECT_EQ(exec_with(defaults_of("", project)).nice, 3);
  EXPECT_EQ(exec_with(defaults_of("", project)).wanted.priority, 0);
  EXPECT_EQ(exec_with(defaults_of("[exec]\npriority = 9\nnice = 4\n", project)).wanted.priority, 5);
  EXPECT_EQ(exec_with(defaults_of("[exec]\npriority = 9\nnice = 4\n", project)).nice, 4);
  const auto options = parse_exec({"cc"}, defaults_of("", "[exec]\nalone_after = 0\n"));
  ASSERT_TRUE(options.has_value());
  EXPECT_FALSE(options->config.alone_after);
  EXPECT_THAT(options->notes, ElementsAre(HasSubstr("/p.toml: alone_after is ignored")));
}

TEST(ExecDefaults, WhatIsWrongIsNamed) {
  const auto error = [](const Defaults& defaults) {
    const auto options = parse_exec({"cc"}, defaults);
    return options ? std::string() : options.error().sentence;
  };
  EXPECT_EQ(error(defaults_of("[exec]\ntimeout = \"\"", "")),
            "the configuration /u.toml, line 2: timeout: '': an empty value");
  EXPECT_THAT(error(defaults_of("", "", {"TOKENPOOL_TYPE=a b"})),
              StartsWith("TOKENPOOL_TYPE=a b: no name of a type"));
  EXPECT_THAT(error(defaults_of("[exec]\nslots = 2", "")), HasSubstr("slots: no such key"));
}

class FindDefaults : public ::testing::Test {
 protected:
  FindDefaults() {
    std::string name = ::testing::TempDir() + "defaultsXXXXXX";
    root_ = std::filesystem::canonical(::mkdtemp(name.data()));
  }
  ~FindDefaults() override { std::filesystem::remove_all(root_); }

  std::string write(const std::string& name, const std::string& text) {
    const auto path = root_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
    ::chmod(path.c_str(), 0644);
    return path.string();
  }
  Defaults find(Texts variables, const std::string& folder) {
    const auto found = find_defaults(std::move(variables), (root_ / folder).string(), ::geteuid());
    EXPECT_TRUE(found.has_value()) << found.error().sentence;
    return found ? *found : Defaults{};
  }
  std::string root() const { return root_.string(); }

 private:
  std::filesystem::path root_;
};

TEST_F(FindDefaults, TheUsersFile) {
  const std::string file = write("home/.config/tokenpool/config.toml", "a");
  const std::string home = "HOME=" + root() + "/home";
  EXPECT_EQ(find({home}, "").user->file, file);
  EXPECT_EQ(find({home, "XDG_CONFIG_HOME="}, "").user->text, "a");
  EXPECT_EQ(find({home, "XDG_CONFIG_HOME=relative"}, "").user->file, file);
  EXPECT_FALSE(find({home, "XDG_CONFIG_HOME=" + root()}, "").user);
  EXPECT_FALSE(find({}, "").user);
  EXPECT_FALSE(find({home, "TOKENPOOL_CONFIG=off"}, "").user);
  const std::string other = write("other.toml", "b");
  EXPECT_EQ(find({home, "TOKENPOOL_CONFIG=" + other}, "").user->text, "b");
  const auto gone = find_defaults({"TOKENPOOL_CONFIG=/gone"}, "/", ::geteuid());
  EXPECT_EQ(gone.error().status, 2);
}

TEST_F(FindDefaults, TheNearestFileOfAProject) {
  std::filesystem::create_directories(root() + "/a/b/c");
  EXPECT_FALSE(find({}, "a/b/c").project);
  write(".tokenpool.toml", "outer");
  EXPECT_EQ(find({}, "a/b/c").project->text, "outer");
  const std::string file = write("a/b/.tokenpool.toml", "inner");
  EXPECT_EQ(find({}, "a/b/c").project->file, file);
  EXPECT_EQ(find({}, "a").project->text, "outer");
  EXPECT_FALSE(find({"TOKENPOOL_CONFIG=off"}, "a/b/c").project);
  EXPECT_THAT(find({}, "a/b/c").notes, IsEmpty());
}

TEST_F(FindDefaults, WhatOthersCanHaveWrittenIsIgnored) {
  write(".tokenpool.toml", "mine");
  const std::string file = write("a/.tokenpool.toml", "inner");
  ::chmod(file.c_str(), 0666);
  Defaults found = find({}, "a");
  EXPECT_EQ(found.project->text, "mine");
  EXPECT_THAT(found.notes, ElementsAre(AllOf(HasSubstr(file), HasSubstr("everybody may write"))));
  ::chmod(file.c_str(), 0664);
  EXPECT_EQ(find({}, "a").project->text, "inner");
  const uid_t another = ::geteuid() == 0 ? 1 : ::geteuid() + 1;
  const auto by_another = find_defaults({}, root() + "/a", another);
  if (::geteuid() == 0) {
    EXPECT_EQ(by_another->project->text, "inner") << "root's file is anybody's";
  } else {
    EXPECT_FALSE(by_another->project);
    EXPECT_EQ(by_another->notes.size(), 2U);
  }
  write("a/.tokenpool.toml", std::string((1U << 16) + 1, '#'));
  EXPECT_EQ(find({}, "a").project->text, "mine");
  EXPECT_THAT(find({}, "a").notes, ElementsAre(HasSubstr("more than 65536 bytes")));
}

}  // namespace
}  // namespace tokenpool::cli
