#include "jobserver/environment.h"

#include <array>
#include <cstdlib>
#include <filesystem>
#include <map>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "open_descriptors.h"

namespace tokenpool::jobserver {
namespace {

namespace fs = std::filesystem;
using dialect::Dialect;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const dialect::Jobserver kPool{"/tmp/p/fifo", 900, 901, 4};
constexpr const char* kFifo = " -j4 --jobserver-auth=fifo:/tmp/p/fifo";
constexpr const char* kBoth = " -j --jobserver-auth=fifo:/tmp/p/fifo --jobserver-f=900,901";
constexpr const char* kCargo = " -j --jobserver-fds=900,901 --jobserver-auth=fifo:/tmp/p/fifo";

struct Built {
  std::map<std::string, std::string> variables;
  std::vector<std::string> notes;
};

Built build(const EnvironmentOptions& options, std::vector<const char*> environ) {
  environ.push_back(nullptr);
  Environment environment = build_environment(kPool, options, environ.data());
  Built built;
  for (const std::string& variable : environment.variables) {
    const std::size_t equals = variable.find('=');
    const bool is_new =
        built.variables.emplace(variable.substr(0, equals), variable.substr(equals + 1)).second;
    EXPECT_TRUE(is_new) << variable;
  }
  built.notes = std::move(environment.notes);
  return built;
}

TEST(BuildEnvironment, Wrap) {
  EnvironmentOptions options{"/shims", Dialect::fifo};
  options.wrap_folder = "/wrap";
  auto both = build(options, {"PATH=/a:/outer::/outer-wrap:/shims:/b", "TOKENPOOL_SHIMS=/outer",
                              "TOKENPOOL_WRAP=/outer-wrap", "TOKENPOOL_WRAPPED=7"});
  EXPECT_EQ(both.variables["PATH"], "/shims:/wrap:/a::/b");
  EXPECT_EQ(both.variables["CCACHE_PATH"], "/a::/b");
  EXPECT_EQ(both.variables["TOKENPOOL_WRAP"], "/wrap");
  EXPECT_FALSE(both.variables.contains("TOKENPOOL_WRAPPED"));

  options.shims_folder.clear();
  auto alone = build(options, {"PATH=/outer:/a", "TOKENPOOL_SHIMS=/outer", "CCACHE_PATH=/mine"});
  EXPECT_EQ(alone.variables["PATH"], "/wrap:/outer:/a");
  EXPECT_EQ(alone.variables["CCACHE_PATH"], "/mine");
  auto of_outer_shims = build(options, {"PATH=/outer:/a", "TOKENPOOL_SHIMS=/outer"});
  EXPECT_EQ(of_outer_shims.variables["CCACHE_PATH"], "/a");
  EXPECT_EQ(build(options, {}).variables["PATH"], "/wrap:/usr/local/bin:/usr/bin:/bin");

  // An outer run's compilers are jobs of this pool then.
  auto inner =
      build({"/shims", Dialect::fifo}, {"PATH=/outer-wrap:/a", "TOKENPOOL_WRAP=/outer-wrap"});
  EXPECT_EQ(inner.variables["PATH"], "/shims:/outer-wrap:/a");
  EXPECT_EQ(inner.variables["TOKENPOOL_WRAP"], "/outer-wrap");
}

TEST(BuildEnvironment, NewMake) {
  auto [variables, notes] = build({"/shims", Dialect::fifo}, {"PATH=/bin:/usr/bin", "A=b"});
  EXPECT_EQ(variables, (std::map<std::string, std::string>{{"A", "b"},
                                                           {"CARGO_MAKEFLAGS", kCargo},
                                                           {"CTEST_PARALLEL_LEVEL", "0"},
                                                           {"MAKEFLAGS", kFifo},
                                                           {"PATH", "/shims:/bin:/usr/bin"},
                                                           {"TOKENPOOL_FDS", "900,901"},
                                                           {"TOKENPOOL_FIFO", "/tmp/p/fifo"},
                                                           {"TOKENPOOL_JOBS", "4"},
                                                           {"TOKENPOOL_SHIMS", "/shims"}}));
  EXPECT_THAT(notes, IsEmpty());
}

TEST(BuildEnvironment, OldMakeNeedsBoth) {
  const auto with = build({"/shims", Dialect::fds_auth}, {"MAKEFLAGS=k -- A=b"});
  EXPECT_EQ(with.variables.at("MAKEFLAGS"), "k" + std::string(kBoth) + " -- A=b");
  EXPECT_EQ(with.variables.at("CARGO_MAKEFLAGS"), kCargo);
  const auto without = build({"", Dialect::fds_auth}, {"PATH=/bin", "TOKENPOOL_SHIMS=/outer"});
  EXPECT_EQ(without.variables.at("CARGO_MAKEFLAGS"), " -j4 --jobserver-auth=900,901");
  EXPECT_EQ(without.variables.at("PATH"), "/bin");
  EXPECT_FALSE(without.variables.contains("TOKENPOOL_SHIMS"));
}

TEST(BuildEnvironment, TheProtocolOfAnOuterRunGoes) {
  const std::vector<const char*> outer = {"TOKENPOOL_LEASE=7", "TOKENPOOL_SLOTS=2",
                                          "TOKENPOOL_ADDR=unix:/outer", "TOKENPOOL_COOKIE=old"};
  const auto without = build({"", Dialect::fifo}, outer);
  for (const char* name :
       {"TOKENPOOL_LEASE", "TOKENPOOL_SLOTS", "TOKENPOOL_ADDR", "TOKENPOOL_COOKIE"}) {
    EXPECT_FALSE(without.variables.contains(name)) << name;
  }
  EnvironmentOptions options{"", Dialect::fifo};
  options.address = "unix:/inner";
  options.cookie = "new";
  const auto with = build(options, outer);
  EXPECT_EQ(with.variables.at("TOKENPOOL_ADDR"), "unix:/inner");
  EXPECT_EQ(with.variables.at("TOKENPOOL_COOKIE"), "new");
  EXPECT_FALSE(with.variables.contains("TOKENPOOL_LEASE"));
}

TEST(BuildEnvironment, NoMake) {
  EXPECT_EQ(build({"/shims", std::nullopt}, {}).variables.at("MAKEFLAGS"), kFifo);
  EXPECT_EQ(build({"/shims", std::nullopt}, {}).variables.at("PATH"),
            "/shims:/usr/local/bin:/usr/bin:/bin");
}

TEST(BuildEnvironment, ShimsOfAnOuterRunGo) {
  const auto built =
      build({"/shims", Dialect::fifo}, {"PATH=/a:/outer::/shims:/b", "TOKENPOOL_SHIMS=/outer"});
  EXPECT_EQ(built.variables.at("PATH"), "/shims:/a::/b");
}

TEST(BuildEnvironment, ParallelLevels) {
  const auto built =
      build({"", Dialect::fifo}, {"CMAKE_BUILD_PARALLEL_LEVEL=8", "CTEST_PARALLEL_LEVEL=9",
                                  "MFLAGS=-j3", "GNUMAKEFLAGS=-j7", "MAKEFLAGS=-kj5"});
  EXPECT_FALSE(built.variables.contains("CMAKE_BUILD_PARALLEL_LEVEL"));
  EXPECT_FALSE(built.variables.contains("TOKENPOOL_CMAKE_LEVEL"));
  EXPECT_FALSE(built.variables.contains("MFLAGS"));
  EXPECT_FALSE(built.variables.contains("GNUMAKEFLAGS"));
  EXPECT_EQ(built.variables.at("CTEST_PARALLEL_LEVEL"), "0");
  EXPECT_EQ(built.variables.at("MAKEFLAGS"), " -k" + std::string(kFifo));
  EXPECT_THAT(built.notes,
              ElementsAre(HasSubstr("MAKEFLAGS had -j5"), HasSubstr("GNUMAKEFLAGS had -j7"),
                          HasSubstr("CMAKE_BUILD_PARALLEL_LEVEL=8 is taken away"),
                          HasSubstr("CTEST_PARALLEL_LEVEL=9")));
}

TEST(BuildEnvironment, TheShimsKeepCmakesLevelForOutsiders) {
  const auto built = build({"/shims", Dialect::fifo}, {"CMAKE_BUILD_PARALLEL_LEVEL=8"});
  EXPECT_FALSE(built.variables.contains("CMAKE_BUILD_PARALLEL_LEVEL"));
  EXPECT_EQ(built.variables.at("TOKENPOOL_CMAKE_LEVEL"), "8");
  EXPECT_THAT(built.notes, ElementsAre(HasSubstr("but for tools that do not obey the pool")));
  const auto inner = build({"/shims", Dialect::fifo}, {"TOKENPOOL_CMAKE_LEVEL=8"});
  EXPECT_EQ(inner.variables.at("TOKENPOOL_CMAKE_LEVEL"), "8");
  const auto without = build({"", Dialect::fifo}, {"TOKENPOOL_CMAKE_LEVEL=8"});
  EXPECT_FALSE(without.variables.contains("TOKENPOOL_CMAKE_LEVEL"));
}

TEST(BuildEnvironment, GnumakeflagsKeepsTheRest) {
  EXPECT_EQ(build({"", Dialect::fifo}, {"GNUMAKEFLAGS=-k -j7"}).variables.at("GNUMAKEFLAGS"),
            " -k");
}

class PoolTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "environment-test-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    fifo_ = name + "/fifo";
    ASSERT_EQ(mkfifo(fifo_.c_str(), 0600), 0);
  }
  void TearDown() override {
    for (const char* name : {"TOKENPOOL_FIFO", "TOKENPOOL_FDS", "TOKENPOOL_JOBS"}) unsetenv(name);
    fs::remove_all(folder_);
  }
  void surround() const {
    setenv("TOKENPOOL_FIFO", fifo_.c_str(), 1);
    setenv("TOKENPOOL_FDS", "900,901", 1);
    setenv("TOKENPOOL_JOBS", "4", 1);
  }

  fs::path folder_;
  std::string fifo_;
};

TEST_F(PoolTest, ForeignJobserverIsNamedOnce) {
  const std::string flags = " -j4 --jobserver-auth=fifo:" + fifo_;
  const std::string makeflags = "MAKEFLAGS=" + flags;
  const std::string cargo = "CARGO_MAKEFLAGS=" + flags;
  const std::vector<const char*> environ = {makeflags.c_str(), cargo.c_str()};
  const auto dead = build({"", Dialect::fifo}, environ);
  EXPECT_EQ(dead.variables.at("MAKEFLAGS"), kFifo);
  EXPECT_THAT(dead.notes, ElementsAre(HasSubstr("dead: it is ignored")));
  const int keeper = open(fifo_.c_str(), O_RDWR | O_CLOEXEC);
  EXPECT_THAT(build({"", Dialect::fifo}, environ).notes,
              ElementsAre(HasSubstr("alive: it is left alone")));
  close(keeper);
}

TEST_F(PoolTest, ARunAroundThisOneIsNamedAsSuch) {
  const std::string outer = "TOKENPOOL_FIFO=" + fifo_;
  const std::string makeflags = "MAKEFLAGS= -j --jobserver-fds=900,901";
  const std::string cargo = "CARGO_MAKEFLAGS=--jobserver-auth=fifo:" + fifo_;
  const std::vector<const char*> environ = {outer.c_str(), "TOKENPOOL_FDS=900,901",
                                            makeflags.c_str(), cargo.c_str(),
                                            "TOKENPOOL_ADDR=unix:/outer"};
  const auto dead = build({"", Dialect::fifo}, environ);
  EXPECT_THAT(dead.notes, ElementsAre(HasSubstr("MAKEFLAGS names another jobserver"),
                                      HasSubstr("CARGO_MAKEFLAGS names another jobserver")));
  const int keeper = open(fifo_.c_str(), O_RDWR | O_CLOEXEC);
  EnvironmentOptions options{"", Dialect::fifo};
  EXPECT_THAT(build(options, environ).notes,
              ElementsAre("inside of another tokenpool run, whose pool is left alone: this build "
                          "has a pool of its own beside it"));
  options.outer_run = "pid 7: tokenpool run make";
  EXPECT_THAT(build(options, environ).notes,
              ElementsAre(HasSubstr("tokenpool run (pid 7: tokenpool run make), whose")));
  close(keeper);
}

TEST_F(PoolTest, ForeignJobserverIsNamedOnceHoweverItIsWritten) {
  const std::string path = "--jobserver-auth=fifo:" + fifo_;
  const std::string cargo = "CARGO_MAKEFLAGS= -j --jobserver-fds=900,901 " + path;
  const std::string makeflags = "MAKEFLAGS= -j " + path + " --jobserver-f=900,901";
  EXPECT_EQ(build({"", Dialect::fifo}, {makeflags.c_str(), cargo.c_str()}).notes.size(), 1U);
  const std::string twice = "CARGO_MAKEFLAGS=-j --jobserver-fds=900,901 --jobserver-auth=900,901";
  EXPECT_THAT(build({"", Dialect::fifo}, {twice.c_str()}).notes,
              ElementsAre(HasSubstr("CARGO_MAKEFLAGS names another jobserver")));
}

TEST_F(PoolTest, DescriptorsLiveWhileTheyAreOpen) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe(ends.data()), 0);
  const auto word = dialect::parse_makeflags("--jobserver-auth=" + std::to_string(ends[0]) + "," +
                                             std::to_string(ends[1]))
                        .jobservers.at(0);
  EXPECT_TRUE(is_alive(word));
  fcntl(ends[0], F_SETFD, FD_CLOEXEC);
  EXPECT_FALSE(is_alive(word)) << "one of our own that took the number";
  fcntl(ends[0], F_SETFD, 0);
  close(ends[0]);
  EXPECT_FALSE(is_alive(word));
  close(ends[1]);
}

TEST_F(PoolTest, PoolInEnvironmentMustLive) {
  EXPECT_EQ(pool_in_environment(), std::nullopt);
  surround();
  EXPECT_EQ(pool_in_environment(), std::nullopt) << "nobody reads the FIFO";
  const int keeper = open(fifo_.c_str(), O_RDWR | O_CLOEXEC);
  const auto pool = pool_in_environment();
  ASSERT_TRUE(pool);
  EXPECT_EQ(pool->jobserver, (dialect::Jobserver{fifo_, 900, 901, 4}));
  const auto before = open_descriptors();
  ASSERT_TRUE(pool_in_environment());
  EXPECT_EQ(open_descriptors(), before);
  fs::remove(fifo_);
  EXPECT_EQ(pool_in_environment(), std::nullopt) << "the FIFO is gone";
  close(keeper);
}

TEST_F(PoolTest, PoolInEnvironmentMustBeValid) {
  const int keeper = open(fifo_.c_str(), O_RDWR | O_CLOEXEC);
  for (const auto& [name, value] :
       std::vector<std::pair<const char*, const char*>>{{"TOKENPOOL_FDS", "900"},
                                                        {"TOKENPOOL_FDS", "a,b"},
                                                        {"TOKENPOOL_FDS", "1,2"},
                                                        {"TOKENPOOL_JOBS", "0"},
                                                        {"TOKENPOOL_JOBS", "4x"},
                                                        {"TOKENPOOL_FIFO", "fifo"}}) {
    surround();
    setenv(name, value, 1);
    EXPECT_EQ(pool_in_environment(), std::nullopt) << name << "=" << value;
  }
  close(keeper);
}

}  // namespace
}  // namespace tokenpool::jobserver
