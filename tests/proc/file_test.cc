#include "proc/file.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <sys/stat.h>

namespace tokenpool::proc {
namespace {

namespace fs = std::filesystem;

class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "file-test-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  void TearDown() override { fs::remove_all(root_); }

  fs::path root_;
};

TEST_F(FileTest, NoMoreThanAskedFor) {
  std::ofstream(root_ / "file") << "abcdef";
  EXPECT_EQ(read_start(root_ / "file", 100), "abcdef");
  EXPECT_EQ(read_start(root_ / "file", 6), "abcdef");
  EXPECT_EQ(read_start(root_ / "file", 2), "ab");
  std::ofstream(root_ / "empty").flush();
  EXPECT_EQ(read_start(root_ / "empty", 2), "");
}

TEST_F(FileTest, RegularFilesOnly) {
  EXPECT_EQ(read_start(root_ / "none", 9), std::nullopt);
  EXPECT_EQ(read_start(root_, 9), std::nullopt);
  ASSERT_EQ(mkfifo((root_ / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(read_start(root_ / "fifo", 9), std::nullopt);
  EXPECT_EQ(read_start("/dev/zero", 9), std::nullopt);
  std::ofstream(root_ / "file") << "x";
  fs::create_symlink("file", root_ / "link");
  EXPECT_EQ(read_start(root_ / "link", 9), "x");
}

TEST(HashedName, IsFnv1a) {
  EXPECT_EQ(hashed_name(""), "cbf29ce484222325");
  EXPECT_EQ(hashed_name("a"), "af63dc4c8601ec8c");
}

}  // namespace
}  // namespace tokenpool::proc
