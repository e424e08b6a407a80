#include "jobserver/fifo.h"

#include <filesystem>
#include <fstream>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tokenpool::jobserver {
namespace {

wire::Result<void> create(Fifo* fifo) {
  fifo->choose_name(::testing::TempDir());
  return fifo->create();
}

TEST(Fifo, WhatWasCreatedElsewhereIsTheSame) {
  Fifo made;
  ASSERT_TRUE(create(&made));
  Fifo adopted;
  adopted.adopt(::dup(made.fd()));
  EXPECT_EQ(adopted.id(), made.id());
  EXPECT_EQ(adopted.put(3), 3);
  EXPECT_EQ(made.level(), 3);
  made.remove();
}

TEST(Fifo, IsPrivateAndKeepsItsLevel) {
  Fifo fifo;
  ASSERT_TRUE(create(&fifo));
  struct stat status{};
  ASSERT_EQ(::stat(fifo.path().c_str(), &status), 0);
  EXPECT_TRUE(S_ISFIFO(status.st_mode));
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  ASSERT_EQ(::stat(fifo.folder().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700U);
  EXPECT_EQ(fifo.level(), 0);
  EXPECT_EQ(fifo.take(1), 0) << "an empty FIFO must not block";
  EXPECT_EQ(fifo.put(511), 511);
  EXPECT_EQ(fifo.level(), 511);
  EXPECT_EQ(fifo.take(500), 500);
  EXPECT_EQ(fifo.take(500), 11);
  fifo.remove();
  EXPECT_FALSE(std::filesystem::exists(fifo.folder()));
  EXPECT_FALSE(fifo.is_on_disk());
  fifo.remove();
}

TEST(Fifo, AFullPipeTakesNoMoreAndDoesNotBlock) {
  Fifo fifo;
  ASSERT_TRUE(create(&fifo));
  EXPECT_EQ(fifo.put(100000), 65536);
  EXPECT_EQ(fifo.take(100000), 65536);
  fifo.remove();
}

TEST(Fifo, EndsAreHighAndBlockAndCloseOnExec) {
  Fifo fifo;
  ASSERT_TRUE(create(&fifo));
  int reader = -1;
  int writer = -1;
  ASSERT_TRUE(fifo.open_ends(&reader, &writer));
  for (const int fd : {reader, writer}) {
    EXPECT_GT(fd, 2);
    EXPECT_LT(fd, 1024);
    EXPECT_EQ(::fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    EXPECT_EQ(::fcntl(fd, F_GETFD), FD_CLOEXEC);
    EXPECT_TRUE(proc::descriptor_is(::getpid(), fd, fifo.id()));
  }
  EXPECT_EQ(::write(writer, "+", 1), 1);
  char token = 0;
  EXPECT_EQ(::read(reader, &token, 1), 1);
  ::close(reader);
  ::close(writer);
  fifo.remove();
}

TEST(Fifo, EndsFitUnderALowLimitOfDescriptors) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    const rlimit low{24, 24};
    ::setrlimit(RLIMIT_NOFILE, &low);
    Fifo fifo;
    int reader = -1;
    int writer = -1;
    const bool made = create(&fifo) && fifo.open_ends(&reader, &writer);
    fifo.remove();
    ::_exit(made && reader > 2 && writer > 2 && reader < 24 && writer < 24 ? 0 : 1);
  }
  int status = -1;
  ::waitpid(pid, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST(Fifo, SaysWhereItCouldNotBeMade) {
  Fifo fifo;
  fifo.choose_name("/nonexistent/folder");
  const auto created = fifo.create();
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().status, 125);
  EXPECT_NE(created.error().sentence.find("/nonexistent/folder"), std::string::npos);
  EXPECT_NE(created.error().sentence.find("TMPDIR"), std::string::npos);
}

TEST(Fifo, KnowsWhenSomebodyElsePutAnotherInItsPlace) {
  Fifo fifo;
  ASSERT_TRUE(create(&fifo));
  EXPECT_TRUE(fifo.is_on_disk());
  ::unlink(fifo.path().c_str());
  EXPECT_FALSE(fifo.is_on_disk());
  std::ofstream(fifo.path()) << "not ours";
  EXPECT_FALSE(fifo.is_on_disk());
  fifo.remove();
}

}  // namespace
}  // namespace tokenpool::jobserver
