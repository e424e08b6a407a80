#include "proc/tool_version.h"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tokenpool::proc {
namespace {

namespace fs = std::filesystem;

/// A user's cache, and a tool: an ELF program under a name of
/// the test's own.
class ToolVersion : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("tool-version-" + std::to_string(::getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    ::setenv("XDG_CACHE_HOME", (folder_ / "cache").c_str(), 1);
    install("/bin/echo");
  }
  void TearDown() override {
    ::unsetenv("XDG_CACHE_HOME");
    fs::remove_all(folder_);
  }
  [[nodiscard]] std::string tool() const { return folder_ / "tool"; }
  void install(const std::string& program) const {
    fs::remove(tool());
    fs::copy_file(program, tool());
  }
  /// The one file that is kept.
  [[nodiscard]] fs::path kept() const {
    const fs::path versions = folder_ / "cache/tokenpool/versions";
    if (!fs::exists(versions)) return {};
    const fs::directory_iterator all(versions);
    EXPECT_LE(std::distance(begin(all), end(all)), 1);
    return fs::is_empty(versions) ? fs::path() : fs::directory_iterator(versions)->path();
  }
  [[nodiscard]] std::string text_of_kept() const {
    std::ifstream file(kept());
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void keep(const std::string& text) const { std::ofstream(kept()) << text; }
  /// What is kept, with other words for what the tool said.
  [[nodiscard]] std::string forged(const std::string& said) const {
    const std::string text = text_of_kept();
    return text.substr(0, text.find('\n') + 1) + said + "\nend\n";
  }
  std::string ask() const { return known_version_output(tool()).value_or("nothing"); }

  fs::path folder_;
};

TEST_F(ToolVersion, IsAskedOnce) {
  const std::string first = ask();
  EXPECT_NE(first, "nothing");
  ASSERT_FALSE(kept().empty());
  keep(forged("kept"));
  EXPECT_EQ(ask(), "kept");
}

TEST_F(ToolVersion, AnotherFileOfTheSameNameIsAsked) {
  const std::string first = ask();
  keep(forged("kept"));
  install("/bin/cat");
  EXPECT_NE(ask(), "kept");
  EXPECT_NE(ask(), first);
  install("/bin/echo");
  EXPECT_EQ(ask(), first);
}

TEST_F(ToolVersion, OneThatWasWrittenIntoIsAsked) {
  const std::string first = ask();
  keep(forged("kept"));
  const auto before = fs::last_write_time(tool());
  std::ofstream(tool(), std::ios::app) << "more";
  fs::last_write_time(tool(), before);
  EXPECT_EQ(ask(), first);
}

TEST_F(ToolVersion, AScriptIsAskedEachTime) {
  fs::remove(tool());
  std::ofstream(tool()) << "#!/bin/sh\necho x >>" << (folder_ / "asked").string()
                        << "\necho script 1\n";
  fs::permissions(tool(), fs::perms::owner_all);
  EXPECT_EQ(ask(), "script 1\n");
  EXPECT_EQ(ask(), "script 1\n");
  EXPECT_EQ(fs::file_size(folder_ / "asked"), 4U);
  EXPECT_TRUE(kept().empty());
}

TEST_F(ToolVersion, WhatIsDamagedIsAskedAnewAndMended) {
  const std::string first = ask();
  const std::string good = text_of_kept();
  for (const std::string& bad :
       {std::string(), good.substr(0, good.size() / 2), good.substr(0, good.size() - 1),
        std::string(100000, 'x'), forged("bell \a"), forged("color \x1b[31m"),
        forged(std::string(5000, 'v')), std::string("\nend\n")}) {
    keep(bad);
    EXPECT_EQ(ask(), first) << bad.substr(0, 80);
    EXPECT_EQ(text_of_kept(), good);
  }
}

TEST_F(ToolVersion, WhatIsNoFileOrOthersMayWriteIsNotBelieved) {
  const std::string first = ask();
  const fs::path file = kept();
  keep(forged("kept"));
  ::chmod(file.c_str(), 0666);
  EXPECT_EQ(ask(), first);
  fs::remove(file);
  // Opened without a thought it would be waited for.
  ASSERT_EQ(::mkfifo(file.c_str(), 0600), 0);
  EXPECT_EQ(ask(), first);
  fs::remove(file);
  fs::create_directory(file);
  EXPECT_EQ(ask(), first);
}

TEST_F(ToolVersion, WithoutAPlaceTheToolIsAsked) {
  const std::string first = ask();
  for (const fs::path& place :
       {folder_ / "none/none/none", fs::path("relative"), fs::path(tool() + "/x")}) {
    ::setenv("XDG_CACHE_HOME", place.c_str(), 1);
    ::setenv("HOME", "relative", 1);
    EXPECT_EQ(ask(), first) << place;
    EXPECT_FALSE(fs::exists(folder_ / "none"));
  }
}

TEST_F(ToolVersion, ThePlaceIsMadeForItsOwnerAlone) {
  (void)ask();
  struct stat info{};
  ASSERT_EQ(::stat(kept().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
}

TEST_F(ToolVersion, OneThatFailsIsAnErrorEachTime) {
  install("/bin/false");
  // coreutils' false says its version and fails all the same.
  EXPECT_FALSE(known_version_output(tool()).has_value());
  EXPECT_TRUE(kept().empty());
}

}  // namespace
}  // namespace tokenpool::proc
