#include "jobserver/shim_folder.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "open_descriptors.h"

namespace tokenpool::jobserver {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// A cache of its own, and a folder of tools as PATH.
class WrapFolderTest : public testing::Test {
 protected:
  WrapFolderTest() {
    std::string path = testing::TempDir() + "/wrap-XXXXXX";
    root_ = ::mkdtemp(path.data());
    cache_ = root_ / "cache";
    tools_ = root_ / "tools";
    fs::create_directory(tools_);
    ::setenv("XDG_DATA_HOME", cache_.c_str(), 1);
  }
  ~WrapFolderTest() override {
    ::unsetenv("XDG_DATA_HOME");
    fs::remove_all(root_);
  }

  void add_tool(const char* name) { fs::create_symlink("/bin/true", tools_ / name); }
  WrapFolder make(const dialect::WrapNames& names = {}) {
    auto made = make_wrap_folder(names, tools_.string());
    if (made) return *made;
    ADD_FAILURE() << made.error().sentence;
    return {};
  }
  std::string refusal() {
    const auto made = make_wrap_folder({}, tools_.string());
    return made ? "" : made.error().sentence;
  }
  static std::vector<std::string> names_in(const fs::path& folder) {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder))
      names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }

  fs::path root_;
  fs::path cache_;
  fs::path tools_;
};

TEST_F(WrapFolderTest, LinksToThisProgramUnderTheNamesThatThereAre) {
  add_tool("gcc");
  add_tool("ld");
  add_tool("make");  // no compiler
  const WrapFolder made = make();
  EXPECT_THAT(made.path, testing::StartsWith(cache_.string() + "/tokenpool/wrap/"));
  EXPECT_TRUE(is_in_wrap_folder(made.path + "/gcc"));
  EXPECT_FALSE(is_in_wrap_folder((tools_ / "gcc").string()));
  EXPECT_THAT(names_in(made.path), ElementsAre("gcc", "ld"));
  EXPECT_EQ(fs::read_symlink(made.path + "/gcc"), fs::read_symlink("/proc/self/exe"));
  EXPECT_THAT(made.missing, IsEmpty());
}

TEST_F(WrapFolderTest, ALaterRunFindsItAsItIsAndMendsWhatIsNotRight) {
  add_tool("gcc");
  add_tool("ld");
  const fs::path folder = make().path;
  struct stat before{};
  ASSERT_EQ(::lstat((folder / "gcc").c_str(), &before), 0);
  fs::remove(folder / "ld");
  fs::create_symlink("/elsewhere", folder / "ld");
  EXPECT_EQ(make().path, folder);
  struct stat after{};
  ASSERT_EQ(::lstat((folder / "gcc").c_str(), &after), 0);
  EXPECT_EQ(after.st_ino, before.st_ino) << "another run may be using it";
  EXPECT_EQ(fs::read_symlink(folder / "ld"), fs::read_symlink("/proc/self/exe"));
  EXPECT_THAT(names_in(folder), ElementsAre("gcc", "ld"));
}

TEST_F(WrapFolderTest, EachSetOfNamesHasAFolderOfItsOwn) {
  add_tool("gcc");
  add_tool("mycc");
  dialect::WrapNames names;
  names.added = {"mycc", "nowhere"};
  const WrapFolder all = make(names);
  EXPECT_THAT(names_in(all.path), ElementsAre("gcc", "mycc"));
  EXPECT_THAT(all.missing, ElementsAre("nowhere"));
  names = {false, {"mycc"}, {}};
  const WrapFolder one = make(names);
  EXPECT_THAT(names_in(one.path), ElementsAre("mycc"));
  EXPECT_NE(one.path, all.path);
}

TEST_F(WrapFolderTest, LeavesNoDescriptor) {
  add_tool("gcc");
  const auto before = open_descriptors();
  make();
  make();
  EXPECT_EQ(open_descriptors(), before);
}

TEST_F(WrapFolderTest, AFolderIntoWhichOthersWriteIsRefused) {
  add_tool("gcc");
  const fs::path folder = make().path;
  ASSERT_EQ(::chmod(folder.c_str(), 0775), 0);
  EXPECT_THAT(refusal(), HasSubstr("others may write to it"));
}

TEST_F(WrapFolderTest, APlaceThatCannotBeOnPathIsRefused) {
  ::setenv("XDG_DATA_HOME", (root_ / "a:b").c_str(), 1);
  EXPECT_THAT(refusal(), HasSubstr("it has a colon"));
  EXPECT_FALSE(fs::exists(root_ / "a:b")) << "nothing half done";
}

TEST_F(WrapFolderTest, WhatIsNoFolderIsRefused) {
  add_tool("gcc");
  fs::create_directory(cache_);
  fs::create_symlink("/dev/null", cache_ / "tokenpool");
  EXPECT_THAT(refusal(), HasSubstr("cannot make the folder"));
}

}  // namespace
}  // namespace tokenpool::jobserver
