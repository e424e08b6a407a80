#include "proc/tool.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tokenpool::proc {
namespace {

namespace fs = std::filesystem;

class ToolTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "tool-test-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
    for (const char* folder : {"shims", "one", "two"}) fs::create_directory(root_ / folder);
  }
  void TearDown() override { fs::remove_all(root_); }

  std::string script(const char* name, const std::string& body) {
    const fs::path file = root_ / name;
    std::ofstream(file) << "#!/bin/sh\n" << body << "\n";
    chmod(file.c_str(), 0755);
    return file.string();
  }
  [[nodiscard]] std::string in(const char* name) const { return (root_ / name).string(); }

  fs::path root_;
};

TEST_F(ToolTest, SkipsOwnFolderAndOwnProgram) {
  script("shims/make", "exit 1");
  fs::create_symlink("/proc/self/exe", root_ / "one/make");
  const std::string real = script("two/make", "exit 0");
  const std::string path = in("shims") + ":" + in("one") + ":" + in("two");
  EXPECT_EQ(find_tool("make", path, in("shims")), real);
}

TEST_F(ToolTest, SkipsAnotherInstallation) {
  script("one/tokenpool", "exit 1");
  fs::create_symlink("../one/tokenpool", root_ / "one/make");
  EXPECT_EQ(find_tool("make", in("one"), ""), std::nullopt);
}

TEST_F(ToolTest, LooksBehindOwnFolderFirst) {
  const std::string wrapper = script("one/make", "exit 0");
  const std::string real = script("two/make", "exit 0");
  EXPECT_EQ(find_tool("make", in("one") + ":" + in("shims") + ":" + in("two"), in("shims")), real);
  EXPECT_EQ(find_tool("make", in("one") + ":" + in("shims"), in("shims")), wrapper);
}

TEST_F(ToolTest, OnlyExecutableFiles) {
  std::ofstream(root_ / "one/make") << "x";
  fs::create_directory(root_ / "two/make");
  EXPECT_EQ(find_tool("make", in("one") + ":" + in("two"), ""), std::nullopt);
  EXPECT_EQ(find_tool("make", "", ""), std::nullopt);
}

TEST_F(ToolTest, NameWithSlashIsTakenAsItIs) {
  const std::string real = script("two/make", "exit 0");
  EXPECT_EQ(find_tool(real, "", ""), real);
  EXPECT_EQ(find_tool(in("one/make"), in("two"), ""), std::nullopt);
}

TEST_F(ToolTest, VersionOutputIsBounded) {
  const auto output = tool_version_output(
      script("one/make", "i=0; while [ $i -lt 2000 ]; do echo 0123456789; i=$((i+1)); done"));
  ASSERT_TRUE(output) << output.error().sentence;
  EXPECT_EQ(output->size(), 4096u);
}

TEST_F(ToolTest, VersionIsAskedWithoutMakeflags) {
  setenv("MAKEFLAGS", "n", 1);
  const auto output = tool_version_output(script("one/make", "echo \"$1 [$MAKEFLAGS]\"; cat"));
  unsetenv("MAKEFLAGS");
  ASSERT_TRUE(output) << output.error().sentence;
  EXPECT_EQ(*output, "--version []\n");
}

TEST_F(ToolTest, FailuresAreSentences) {
  const auto failed = tool_version_output(script("one/make", "exit 3"));
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().sentence.find("one/make --version"), std::string::npos);
  EXPECT_FALSE(tool_version_output(in("two/none")));
}

}  // namespace
}  // namespace tokenpool::proc
