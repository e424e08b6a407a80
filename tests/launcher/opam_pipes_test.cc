#include "launcher/opam_pipes.h"

#include <array>
#include <csignal>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>

#include "core/limits.h"
#include "launcher/launcher_kit.h"

namespace tokenpool::launcher {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

/// A job's pipes before a GNU make jobserver of `tokens` tokens; the launcher's own slot is the
/// implicit one. This test is the job.
class OpamPipesTest : public ::testing::Test {
 protected:
  void serve_tokens(int tokens) {
    const std::string fifo = folder_.fifo("jobserver");
    tokens_ = ::open(fifo.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
    const std::string all(static_cast<std::size_t>(tokens), '+');
    ASSERT_EQ(::write(tokens_, all.data(), all.size()), tokens);
    client::Options options;
    options.address = "";
    options.makeflags = "-j9 --jobserver-auth=fifo:" + fifo;
    pool_ = client::Pool::connect(options);
    ASSERT_EQ(pool_->mode(), client::Mode::jobserver);
    auto lease = pool_->acquire({});
    ASSERT_TRUE(lease.has_value());
    lease_ = std::move(*lease);
    auto pipes = OpamPipes::open();
    ASSERT_TRUE(pipes.has_value());
    pipes_ = std::move(*pipes);
    read_ = ::dup(pipes_->job_ends().first);
    write_ = ::dup(pipes_->job_ends().second);
    ::fcntl(read_, F_SETFL, O_NONBLOCK);
    pipes_->close_job_ends();
  }
  void TearDown() override {
    pipes_.reset();
    lease_ = {};
    pool_.reset();
    for (const int fd : {tokens_, read_, write_}) {
      if (fd >= 0) ::close(fd);
    }
  }

  void write(const std::string& bytes) {
    ASSERT_EQ(::write(write_, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  /// One turn of the launcher's loop.
  void turn() {
    pool_->process();
    for (std::string& sentence : pipes_->serve(pool_.get(), {}))
      said_.push_back(std::move(sentence));
  }
  std::string answers() {
    std::array<char, 4096> bytes{};
    const ssize_t got = ::read(read_, bytes.data(), bytes.size());
    return {bytes.data(), static_cast<std::size_t>(got > 0 ? got : 0)};
  }
  int tokens_left() const {
    int left = 0;
    return ::ioctl(tokens_, FIONREAD, &left) == 0 ? left : -1;
  }

  Folder folder_;
  int tokens_ = -1;
  int read_ = -1;
  int write_ = -1;
  std::unique_ptr<client::Pool> pool_;
  client::Lease lease_;
  std::unique_ptr<OpamPipes> pipes_;
  std::vector<std::string> said_;
};

TEST_F(OpamPipesTest, TheVariableNamesDescriptorsThatAreNoStandardOnes) {
  auto pipes = OpamPipes::open();
  ASSERT_TRUE(pipes.has_value());
  const auto [read, write] = (*pipes)->job_ends();
  EXPECT_GT(read, 2);
  EXPECT_GT(write, 2);
  EXPECT_EQ((*pipes)->variable(), std::to_string(read) + "," + std::to_string(write));
  EXPECT_EQ(::fcntl(read, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDONLY);
  EXPECT_EQ(::fcntl(write, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_WRONLY);
  EXPECT_NE(::fcntl(read, F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(OpamPipesTest, AsksIsAnsweredAndGivesBack) {
  serve_tokens(3);
  write("++");
  turn();
  EXPECT_EQ(answers(), "++");
  EXPECT_EQ(tokens_left(), 1);
  write("-");
  turn();
  EXPECT_EQ(tokens_left(), 2);
  EXPECT_EQ(pipes_->held(), 1U);
  write("-");
  turn();
  EXPECT_EQ(tokens_left(), 3);
  EXPECT_THAT(said_, IsEmpty());
}

TEST_F(OpamPipesTest, ARequestWaitsForASlot) {
  serve_tokens(1);
  write("++");
  turn();
  EXPECT_EQ(answers(), "+");
  turn();
  EXPECT_EQ(answers(), "");
  write("-");
  turn();
  turn();
  EXPECT_EQ(answers(), "+");
  EXPECT_EQ(tokens_left(), 0);
}

TEST_F(OpamPipesTest, WhatIsHeldAtTheEndIsGivenBack) {
  serve_tokens(4);
  write("+++++++");
  turn();
  EXPECT_EQ(answers(), "++++");
  pipes_->end(pool_.get());
  EXPECT_EQ(tokens_left(), 4);
}

TEST_F(OpamPipesTest, ALotOfRequestsIsOnlyANumber) {
  serve_tokens(2);
  std::size_t asked = 0;
  for (int i = 0; i < 100; ++i) {
    write(std::string(4096, '+'));
    asked += 4096;
    turn();
  }
  EXPECT_GT(asked, static_cast<std::size_t>(core::kMaxSlots));
  EXPECT_EQ(answers(), "++");
  for (int i = 0; i < 10; ++i) {
    write("-");
    turn();
    turn();
    EXPECT_EQ(answers(), "+");
  }
  pipes_->end(pool_.get());
  EXPECT_EQ(tokens_left(), 2);
}

TEST_F(OpamPipesTest, OtherBytesAreIgnoredAndToldOnce) {
  serve_tokens(2);
  write(std::string("x\0\xff", 3));
  turn();
  write("y+");
  turn();
  EXPECT_EQ(answers(), "+");
  EXPECT_THAT(said_, ElementsAre(HasSubstr("neither + nor -")));
}

TEST_F(OpamPipesTest, ASlotThatIsNotHeldIsNotTakenBack) {
  serve_tokens(2);
  write("--");
  turn();
  write("+");
  turn();
  write("---");
  turn();
  EXPECT_EQ(tokens_left(), 2);
  EXPECT_THAT(said_, ElementsAre(HasSubstr("not held")));
}

TEST_F(OpamPipesTest, AClosedPipeWithdrawsWhatWaits) {
  serve_tokens(1);
  write("+++");
  turn();
  EXPECT_EQ(answers(), "+");
  ::close(write_);
  write_ = -1;
  turn();
  EXPECT_EQ(pipes_->fd(), -1);
  EXPECT_EQ(pipes_->held(), 1U);
  // A token that comes now is nobody's.
  ASSERT_EQ(::write(tokens_, "+", 1), 1);
  turn();
  turn();
  EXPECT_EQ(tokens_left(), 1);
  pipes_->end(pool_.get());
  EXPECT_EQ(tokens_left(), 2);
}

TEST_F(OpamPipesTest, AJobThatDoesNotReadGetsNothing) {
  serve_tokens(2);
  ::signal(SIGPIPE, SIG_IGN);
  ::close(read_);
  read_ = -1;
  write("++");
  turn();
  turn();
  EXPECT_EQ(pipes_->held(), 0U);
  EXPECT_EQ(tokens_left(), 2);
}

TEST_F(OpamPipesTest, WhatIsRefusedIsToldOnce) {
  client::Options nothing;
  nothing.address = "";
  nothing.makeflags = "";
  nothing.protocol_only = true;
  const auto pool = client::Pool::connect(nothing);
  auto pipes = OpamPipes::open();
  ASSERT_TRUE(pipes.has_value());
  ASSERT_EQ(::write((*pipes)->job_ends().second, "++", 2), 2);
  EXPECT_THAT((*pipes)->serve(pool.get(), {}), SizeIs(1));
  ASSERT_EQ(::write((*pipes)->job_ends().second, "+", 1), 1);
  EXPECT_THAT((*pipes)->serve(pool.get(), {}), IsEmpty());
  EXPECT_EQ((*pipes)->held(), 0U);
}

}  // namespace
}  // namespace tokenpool::launcher
