#include "proc/descriptor_look.h"

#include <array>
#include <chrono>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tokenpool::proc {
namespace {

using std::chrono::nanoseconds;

constexpr nanoseconds kAtOnce{1000};

FileId id_of(int fd) {
  struct stat status{};
  EXPECT_EQ(::fstat(fd, &status), 0);
  return {status.st_dev, status.st_ino};
}

struct TwoFiles : ::testing::Test {
  TwoFiles() {
    EXPECT_EQ(::pipe(ends.data()), 0);
    EXPECT_EQ(::pipe(others.data()), 0);
    EXPECT_EQ(::pipe(news.data()), 0);
    file = id_of(ends[0]);
  }
  ~TwoFiles() override {
    for (const int fd : {ends[0], ends[1], others[0], others[1], news[0], news[1]}) ::close(fd);
  }
  bool look(int fd) { return looks.is(::getpid(), fd, file, now += kAtOnce, news[0]); }
  void become_the_file() const { ASSERT_EQ(::dup2(ends[0], others[0]), others[0]); }

  std::array<int, 2> ends{};
  std::array<int, 2> others{};
  std::array<int, 2> news{};
  FileId file;
  DescriptorLook looks;
  nanoseconds now{};
};

TEST_F(TwoFiles, TheFileIsSeenEachTime) {
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(look(ends[0]));
  // Believed, a token would be invented for a read of something else.
  ASSERT_EQ(::dup2(others[0], ends[0]), ends[0]);
  EXPECT_FALSE(look(ends[0]));
}

TEST_F(TwoFiles, AnotherFileIsBelievedForSoManyCalls) {
  EXPECT_FALSE(look(others[0]));
  become_the_file();
  for (int i = 0; i < DescriptorLook::kBelieved; ++i) ASSERT_FALSE(look(others[0])) << i;
  EXPECT_TRUE(look(others[0]));
}

TEST_F(TwoFiles, AnotherFileIsNotBelievedForLong) {
  EXPECT_FALSE(look(others[0]));
  become_the_file();
  now += DescriptorLook::kSoon;
  EXPECT_TRUE(look(others[0]));
}

TEST_F(TwoFiles, WhatIsForgottenIsLookedAt) {
  EXPECT_FALSE(look(others[0]));
  become_the_file();
  looks.forget();
  EXPECT_TRUE(look(others[0]));
}

TEST_F(TwoFiles, NothingIsBelievedWhileThereIsNews) {
  EXPECT_FALSE(look(others[0]));
  become_the_file();
  ASSERT_EQ(::write(news[1], "!", 1), 1);
  EXPECT_TRUE(look(others[0]));
}

TEST_F(TwoFiles, TwoDescriptorsAreBelievedAtATime) {
  EXPECT_FALSE(look(others[0]));
  EXPECT_FALSE(look(others[1]));
  become_the_file();
  EXPECT_FALSE(look(others[0]));
  EXPECT_FALSE(look(others[1]));
}

TEST_F(TwoFiles, AnotherThreadOfTheSamePlaceIsLookedAt) {
  EXPECT_FALSE(look(others[0]));
  EXPECT_FALSE(look(others[0]));
  // So many children that one shares the place; each has the file where we have the other one.
  for (int i = 0; i < 64; ++i) {
    std::array<int, 2> link{};
    ASSERT_EQ(::pipe(link.data()), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      ::dup2(ends[0], others[0]);
      (void)!::write(link[1], "x", 1);
      for (;;) ::pause();
    }
    char word = 0;
    ASSERT_EQ(::read(link[0], &word, 1), 1);
    for (int j = 0; j < 3; ++j)
      EXPECT_TRUE(looks.is(child, others[0], file, now += kAtOnce, news[0]));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    // Whose folder is kept is gone.
    EXPECT_FALSE(looks.is(child, others[0], file, now += DescriptorLook::kSoon, news[0]));
    ::close(link[0]);
    ::close(link[1]);
  }
}

}  // namespace
}  // namespace tokenpool::proc
