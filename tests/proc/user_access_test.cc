#include "proc/user_access.h"

#include <cstdlib>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tokenpool::proc {
namespace {

constexpr uid_t kNobody = 65534;
constexpr uid_t kSomebody = 65533;

class UserAccess : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/user_access.XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    folder_ = name;
    file_ = folder_ + "/file";
    std::ofstream(file_) << "x";
    ::chmod(file_.c_str(), 0600);
  }
  void TearDown() override {
    ::unlink(file_.c_str());
    ::rmdir(folder_.c_str());
  }
  static mode_t mode(const std::string& path) {
    struct stat status{};
    EXPECT_EQ(::stat(path.c_str(), &status), 0);
    return status.st_mode & 07777;
  }
  std::string folder_;
  std::string file_;
};

TEST_F(UserAccess, WhoIsAllowedReachesItAndNobodyElseDoes) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may be somebody else";
  ASSERT_FALSE(user_may(file_, kNobody, R_OK));
  ASSERT_EQ(allow_user(file_, kNobody, 6), 0);
  EXPECT_FALSE(user_may(file_, kNobody, R_OK)) << "the folder is closed";
  ASSERT_EQ(allow_user(folder_, kNobody, 1), 0);
  EXPECT_TRUE(user_may(file_, kNobody, R_OK | W_OK));
  EXPECT_FALSE(user_may(file_, kNobody, X_OK));
  EXPECT_FALSE(user_may(folder_, kNobody, R_OK)) << "what else is there is not told";
  EXPECT_FALSE(user_may(file_, kSomebody, R_OK));
  EXPECT_TRUE(user_may(file_, ::geteuid(), R_OK)) << "whoever could, can";
  EXPECT_EQ(mode(file_) & 0707, 0600U);
  EXPECT_EQ(mode(folder_) & 0707, 0700U);
}

TEST_F(UserAccess, SeveralUsersAndOneTwice) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may be somebody else";
  ASSERT_EQ(allow_user(folder_, kSomebody, 1), 0);
  ASSERT_EQ(allow_user(folder_, kNobody, 1), 0);
  for (const uid_t user : {kNobody, kSomebody, kNobody}) {
    ASSERT_EQ(allow_user(file_, user, 4), 0);
  }
  EXPECT_TRUE(user_may(file_, kNobody, R_OK));
  EXPECT_TRUE(user_may(file_, kSomebody, R_OK));
  EXPECT_EQ(allow_user(file_, kNobody, 0), 0);
  EXPECT_FALSE(user_may(file_, kNobody, R_OK));
}

TEST_F(UserAccess, WhatIsNotThere) {
  EXPECT_EQ(allow_user(folder_ + "/other", kNobody, 7), ENOENT);
  EXPECT_FALSE(user_may(folder_ + "/other", ::geteuid(), R_OK));
}

TEST(UserOutside, IsTheSameInOurOwnNamespace) {
  EXPECT_EQ(user_outside(::getpid(), ::geteuid()), ::geteuid());
  EXPECT_EQ(user_outside(0, 0), std::nullopt) << "there is no such process";
}

}  // namespace
}  // namespace tokenpool::proc
