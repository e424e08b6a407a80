// The shim in front of real tools, in a pool made by hand.
#include "shim/shim.h"

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proc/tool.h"
#include "shim/real_tool.h"

namespace tokenpool::shim {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

constexpr int kReadEnd = 900;

struct Outcome {
  int status = -1;
  std::string out;
  std::string err;
};

class ShimTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "shim-test-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
    fs::create_directory(root_ / "bin");
    fs::create_directory(root_ / "pool");
    fifo_ = (root_ / "pool/fifo").string();
    ASSERT_EQ(mkfifo(fifo_.c_str(), 0600), 0);
    keeper_ = open(fifo_.c_str(), O_RDWR | O_CLOEXEC);
    ASSERT_EQ(write(keeper_, "+++", 3), 3);
  }
  void TearDown() override {
    int level = 0;
    ioctl(keeper_, FIONREAD, &level);
    EXPECT_EQ(level, 3) << "tokens are missing";
    close(keeper_);
    fs::remove_all(root_);
  }

  void tool(const std::string& name, const std::string& version, const std::string& body) {
    const fs::path file = root_ / "bin" / name;
    std::ofstream(file) << "#!/bin/sh\n[ \"$1\" = --version ] && { echo asked >>" << root_
                        << "/asked; echo '" << version << "'; exit; }\n"
                        << body << "\n";
    chmod(file.c_str(), 0755);
  }

  [[nodiscard]] std::string text(const std::string& name) const {
    std::ifstream in(root_ / name);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  // A build tree `folder`, as far as cmake --build looks at it before it executes `program`.
  [[nodiscard]] std::string tree(const std::string& folder, const std::string& generator,
                                 const std::string& program) const {
    fs::create_directories(root_ / folder);
    std::ofstream(root_ / folder / "CMakeCache.txt")
        << "# KEY:TYPE=VALUE\nCMAKE_MAKE_PROGRAM:FILEPATH=" << program
        << "\nCMAKE_GENERATOR:INTERNAL=" << generator << "\n";
    return (root_ / folder).string();
  }

  // Runs the shim as `words` in a child: with the pool, unless `before` takes it away.
  Outcome shim(std::vector<std::string> words, const std::function<void()>& before = [] {}) {
    const pid_t child = fork();
    if (child == 0) {
      setenv("PATH", ((root_ / "bin").string() + ":/usr/bin:/bin").c_str(), 1);
      setenv("TOKENPOOL_FIFO", fifo_.c_str(), 1);
      setenv("TOKENPOOL_FDS", "900,901", 1);
      setenv("TOKENPOOL_JOBS", "4", 1);
      for (const char* name : {"MAKEFLAGS", "MAKELEVEL", "TOKENPOOL_SHIMS"}) unsetenv(name);
      redirect("out", 1);
      redirect("err", 2);
      before();
      std::vector<char*> argv;
      for (std::string& word : words) argv.push_back(word.data());
      argv.push_back(nullptr);
      _exit(shim_main(static_cast<int>(words.size()), argv.data()));
    }
    int status = 0;
    waitpid(child, &status, 0);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, text("out"), text("err")};
  }

  void redirect(const char* name, int number) const {
    const int fd = open((root_ / name).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    dup2(fd, number);
  }

  fs::path root_;
  std::string fifo_;
  int keeper_ = -1;
};

TEST_F(ShimTest, Names) {
  for (const char* name : {"make", "gmake", "ninja", "ninja-build", "ctest", "cmake"}) {
    EXPECT_TRUE(is_shim_name(name));
  }
  for (const char* name : {"tokenpool", "", "mak", "cargo"}) EXPECT_FALSE(is_shim_name(name));
}

TEST_F(ShimTest, EachVersionOfMakeInItsDialect) {
  const std::string say = "echo \"[$MAKEFLAGS] $*\"";
  tool("make", "GNU Make 4.3", say);
  EXPECT_EQ(shim({"make", "-kj8", "all"}).out, "[ -j4 --jobserver-auth=900,901] -k all\n");
  tool("make", "GNU Make 4.1 (a remark)", say);
  EXPECT_EQ(shim({"make"}).out, "[ -j --jobserver-fds=900,901] \n");
  tool("make", "GNU Make 4.4.1", say);
  EXPECT_EQ(shim({"make"}).out, "[ -j4 --jobserver-auth=fifo:" + fifo_ + "] \n");
  tool("make", "bmake", say);
  EXPECT_EQ(shim({"make", "-j8"}).out, "[] -j8\n");
}

TEST_F(ShimTest, VersionIsAskedOncePerFile) {
  tool("make", "GNU Make 4.3", "exit 0");
  shim({"make"});
  shim({"make"});
  EXPECT_EQ(text("asked"), "asked\n");
}

TEST_F(ShimTest, OneNotePerToolAndBuild) {
  tool("make", "GNU Make 4.3", "exit 0");
  tool("gmake", "GNU Make 4.3", "exit 0");
  EXPECT_EQ(
      shim({"make", "-j8"}).err,
      "tokenpool: took -j8 off make: the pool decides (4 slots); for 8 give that to tokenpool "
      "run: -j8\n");
  EXPECT_EQ(shim({"make", "-j9"}).err, "");
  EXPECT_EQ(shim({"gmake", "-j9"}).err, "");
}

TEST_F(ShimTest, NinjaAboveAnOldMakeIsToldBothWays) {
  tool("make", "GNU Make 4.3", "exit 0");
  tool("ninja", "1.13.2", "echo \"[$MAKEFLAGS] $*\"");
  const Outcome outcome = shim({"ninja", "-j8", "all"}, [] {
    setenv("MAKEFLAGS", "k -j4 --jobserver-auth=900,901", 1);  // as a make 4.3 above would
  });
  EXPECT_EQ(outcome.out, "[k -j --jobserver-auth=fifo:" + fifo_ + " --jobserver-f=900,901] all\n");
}

TEST_F(ShimTest, OutsidersKeepTheirJobsAndAreNamedOnce) {
  tool("ninja", "1.11.1", "echo \"$*\"");
  EXPECT_EQ(shim({"ninja", "--version"}).err, "");  // as CMake does, and hides what is said
  EXPECT_EQ(shim({"ninja", "-C", "d", "-t", "restat"}).err, "");
  const Outcome first = shim({"ninja", "-j8"});
  EXPECT_EQ(first.out, "-j8\n");
  EXPECT_THAT(first.err, HasSubstr("ninja 1.11.1 at"));
  EXPECT_THAT(first.err, HasSubstr("needs ninja 1.13"));
  EXPECT_EQ(shim({"ninja", "-j8"}).err, "");
  tool("ctest", "ctest version 3.25.1", "echo \"$*\"");
  EXPECT_EQ(shim({"ctest"}).err, "");
  EXPECT_THAT(shim({"ctest", "-j8"}).err, HasSubstr("needs CMake 3.29"));
}

class CmakeShimTest : public ShimTest {
 protected:
  void SetUp() override {
    ShimTest::SetUp();
    tool("cmake", "cmake version 3.25.1",
         "echo \"$MAKEFLAGS\" >" + (root_ / "flags").string() +
             "; echo \"[$CMAKE_BUILD_PARALLEL_LEVEL] $*\"");
    tool("make", "GNU Make 4.3", "exit 0");
    tool("ninja", "1.13.2", "exit 0");
    tool("old", "1.11.1", "exit 0");
  }

  [[nodiscard]] std::string bin(const std::string& name) const {
    return (root_ / "bin" / name).string();
  }

  Outcome build(std::vector<std::string> words) {
    words.insert(words.begin(), {"cmake", "--build"});
    return shim(words, [] { setenv("CMAKE_BUILD_PARALLEL_LEVEL", "8", 1); });
  }
};

const std::string kOrWrap = ", or tokenpool run --wrap, under which each compiler takes a slot\n";

TEST_F(CmakeShimTest, ClientsDecideByThePool) {
  const std::string made = tree("made", "Unix Makefiles", bin("make"));
  const Outcome outcome = build({made, "-j8", "--", "-j7", "X=1"});
  EXPECT_EQ(outcome.out, "[] --build " + made + " -- X=1\n");
  EXPECT_THAT(outcome.err, HasSubstr("took -j8 -j7 off cmake"));
  EXPECT_THAT(outcome.err, Not(HasSubstr("does not obey")));
  const std::string multi = tree("multi", "Ninja Multi-Config", bin("ninja"));
  EXPECT_EQ(build({multi, "--parallel", "8"}).out, "[] --build " + multi + "\n");
}

TEST_F(CmakeShimTest, OutsidersKeepTheirJobsAndAreNamedOnce) {
  const std::string b = tree("b", "Ninja", bin("old"));
  const Outcome first = build({b, "-j8", "--", "-j7"});
  EXPECT_EQ(first.out, "[8] --build " + b + " -j8 -- -j7\n");
  EXPECT_EQ(first.err, "tokenpool: old 1.11.1 at " + bin("old") +
                           " does not obey the pool: that needs ninja 1.13 or later" + kOrWrap);
  const Outcome second = build({b});
  EXPECT_EQ(second.out, "[8] --build " + b + "\n");
  EXPECT_EQ(second.err, "");
  EXPECT_THAT(build({tree("x", "Unix Makefiles", bin("ninja")), "-j8"}).err,
              HasSubstr("does not obey the pool: that needs GNU make" + kOrWrap));
}

TEST_F(CmakeShimTest, AnOutsiderIsNamedOnceOnItsOwnAndBelowCmake) {
  tool("ninja", "1.11.1", "exit 0");
  EXPECT_THAT(build({tree("b", "Ninja", bin("ninja"))}).err, HasSubstr("does not obey"));
  EXPECT_EQ(shim({"ninja"}).err, "");
}

TEST_F(CmakeShimTest, ToolsOfOtherGeneratorsAreNotAskedForTheirVersion) {
  tool("xcodebuild", "14.0", "exit 0");
  const std::string b = tree("b", "Xcode", bin("xcodebuild"));
  shim({"cmake"});
  shim({"make"});
  const std::string asked = text("asked");
  const Outcome outcome = build({b, "-j8"});
  EXPECT_EQ(outcome.out, "[8] --build " + b + " -j8\n");
  EXPECT_EQ(outcome.err, "tokenpool: xcodebuild at " + bin("xcodebuild") +
                             " does not obey the pool: that needs the generator Ninja or Unix "
                             "Makefiles" +
                             kOrWrap);
  EXPECT_EQ(text("asked"), asked);
}

TEST_F(CmakeShimTest, AShimStandsForTheRealTool) {
  fs::create_directories(root_ / "shims");
  fs::create_symlink("/proc/self/exe", root_ / "shims/ninja");  // this test: the shims' program
  const std::string b = tree("b", "Ninja", (root_ / "shims/ninja").string());
  EXPECT_EQ(build({b, "-j8"}).out, "[] --build " + b + "\n");
  tool("ninja", "1.11.1", "exit 0");
  EXPECT_EQ(build({b, "-j8"}).out, "[8] --build " + b + " -j8\n");
  EXPECT_EQ(build({tree("bare", "Ninja", "ninja"), "-j8"}).out,
            "[8] --build " + (root_ / "bare").string() + " -j8\n");
}

TEST_F(CmakeShimTest, FindsTheCacheAboveAFolderOfTheTree) {
  const std::string b = tree("b", "Ninja", bin("old"));
  fs::create_directories(root_ / "b/a/b/CMakeFiles");
  EXPECT_EQ(build({b + "/a/b/", "-j8"}).out, "[8] --build " + b + "/a/b/ -j8\n");
  EXPECT_EQ(build({b + "/a", "-j8"}).out, "[] --build " + b + "/a\n");
}

TEST_F(CmakeShimTest, WhereTheTreeCannotBeToldAllToolsOnPathMustBeClients) {
  const std::vector<std::vector<std::string>> untold = {
      {"--preset", "x", "-j8"}, {"--preset=x", "-j8"}, {(root_ / "none").string(), "-j8"}};
  for (const auto& words : untold) EXPECT_THAT(build(words).out, Not(HasSubstr("-j8")));
  tool("ninja", "1.11.1", "exit 0");
  for (const auto& words : untold) EXPECT_THAT(build(words).out, HasSubstr("-j8"));
}

TEST_F(CmakeShimTest, ATreesOwnMakeIsToldInItsDialect) {
  tool("make44", "GNU Make 4.4.1", "exit 0");
  build({tree("new", "Unix Makefiles", bin("make44"))});
  EXPECT_EQ(text("flags"), " -j4 --jobserver-auth=fifo:" + fifo_ + "\n");
  tool("make43", "GNU Make 4.3", "exit 0");
  tool("make", "GNU Make 4.4.1", "exit 0");
  build({tree("old", "Unix Makefiles", bin("make43"))});
  EXPECT_EQ(text("flags"), " -j4 --jobserver-auth=900,901\n");
}

TEST_F(CmakeShimTest, OutsidersGetTheLevelThatRunTookAway) {
  const auto kept = [] { setenv("TOKENPOOL_CMAKE_LEVEL", "6", 1); };
  const std::string b = tree("b", "Ninja", bin("old"));
  EXPECT_EQ(shim({"cmake", "--build", b}, kept).out, "[6] --build " + b + "\n");
  const std::string own = shim({"cmake", "--build", b}, [&] {
                            kept();
                            setenv("CMAKE_BUILD_PARALLEL_LEVEL", "5", 1);
                          }).out;
  EXPECT_EQ(own, "[5] --build " + b + "\n");
  const std::string obeys = tree("obeys", "Ninja", bin("ninja"));
  EXPECT_EQ(shim({"cmake", "--build", obeys}, kept).out, "[] --build " + obeys + "\n");
}

TEST_F(CmakeShimTest, OtherUsesLoseTheLevel) {
  const Outcome outcome = shim({"cmake", "-P", "build.cmake", "-j8"},
                               [] { setenv("CMAKE_BUILD_PARALLEL_LEVEL", "8", 1); });
  EXPECT_EQ(outcome.out, "[] -P build.cmake -j8\n");
}

TEST_F(ShimTest, WithoutAPoolNothingChanges) {
  tool("make", "GNU Make 4.3", "echo \"[$MAKEFLAGS] $*\"");
  const auto flags = [] { setenv("MAKEFLAGS", "-j3", 1); };
  for (const auto& before :
       std::vector<std::function<void()>>{[&] {
                                            unsetenv("TOKENPOOL_FIFO");
                                            flags();
                                          },
                                          [&] {
                                            setenv("TOKENPOOL_FIFO", (root_ / "gone").c_str(), 1);
                                            flags();
                                          }}) {
    const Outcome outcome = shim({"make", "-j8"}, before);
    EXPECT_EQ(outcome.out, "[-j3] -j8\n");
    EXPECT_EQ(outcome.err, "");
  }
}

TEST_F(ShimTest, BelowOneJobAMakeIsLeftAlone) {
  tool("make", "GNU Make 4.3", "echo \"[$MAKEFLAGS] $*\"");
  EXPECT_EQ(shim({"make", "x"}, [] { setenv("MAKEFLAGS", "w -j1", 1); }).out, "[w -j1] x\n");
  EXPECT_EQ(shim({"make", "-j1"}, [] { setenv("MAKEFLAGS", "k --jobserver-auth=900,901", 1); }).out,
            "[k] -j1\n");
}

TEST_F(ShimTest, FailuresHaveAStatusAndALine) {
  const Outcome none = shim({"gmake"}, [] { setenv("PATH", "/nowhere", 1); });
  EXPECT_EQ(none.status, 127);
  EXPECT_THAT(none.err, HasSubstr("cannot run 'gmake'"));
  std::ofstream(root_ / "bin/make") << "#!/nowhere/at/all\n";
  chmod((root_ / "bin/make").c_str(), 0755);
  const Outcome broken = shim({"make"});
  EXPECT_EQ(broken.status, 127);
  EXPECT_THAT(broken.err, HasSubstr("cannot run"));
}

TEST_F(ShimTest, ShimsThatCallEachOtherEnd) {
  tool("make", "GNU Make 4.3", "exit 0");
  const Outcome outcome = shim({"make"}, [] {
    setenv("TOKENPOOL_SHIM_HOPS", (std::to_string(getpid()) + ":8").c_str(), 1);
  });
  EXPECT_EQ(outcome.status, 126);
  EXPECT_THAT(outcome.err, HasSubstr("call each other"));
}

TEST_F(ShimTest, ClosedDescriptorsComeBackAndOthersAreLeftAlone) {
  tool("make", "GNU Make 4.3",
       "for n in 900 901 902; do readlink /proc/self/fd/$n || echo -; done; echo \"$MAKEFLAGS\"");
  EXPECT_EQ(shim({"make"}).out, fifo_ + "\n" + fifo_ + "\n-\n -j4 --jobserver-auth=900,901\n");
  const Outcome taken = shim({"make"}, [] {
    const int other = open("/dev/null", O_RDONLY);
    dup2(other, kReadEnd);
  });
  EXPECT_THAT(taken.out, HasSubstr("/dev/null\n"));
  EXPECT_THAT(taken.out, Not(HasSubstr("auth=900,")));
}

// The real make. Two jobs must be in at once before either may leave: it got a token through
// descriptors that its parent had closed.
TEST_F(ShimTest, RealMakeJoinsThePool) {
  if (!proc::find_tool("make", "/usr/bin:/bin", "")) GTEST_SKIP() << "no make here";
  std::ofstream(root_ / "Makefile") << "all: a b\na b:\n\t@: > in.$@; "
                                       "while ! [ -e in.a -a -e in.b ]; do :; done\n";
  const Outcome outcome = shim({"make", "-j9", "-C", root_.string()});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.err, Not(HasSubstr("warning")));
}

TEST_F(ShimTest, OneJobOfARealMakeHasNoWarning) {
  if (!proc::find_tool("make", "/usr/bin:/bin", "")) GTEST_SKIP() << "no make here";
  std::ofstream(root_ / "Makefile") << "all: ; @true\n";
  const Outcome outcome = shim({"make", "-j1", "-C", root_.string()},
                               [] { setenv("MAKEFLAGS", " -j4 --jobserver-auth=900,901", 1); });
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.err, "");
}

}  // namespace
}  // namespace tokenpool::shim
