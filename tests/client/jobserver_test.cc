// The way back to GNU make's jobserver, with real FIFOs and pipes.
#include <array>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/token_source.h"
#include "tokenpool/client.hpp"

namespace tokenpool::client {
namespace {

using testing::UnorderedElementsAre;

std::unique_ptr<Pool> connect_with(const std::string& makeflags) {
  Options options;
  options.address = "";
  options.makeflags = makeflags;
  return Pool::connect(options);
}

int bytes_in(int fd) {
  int bytes = 0;
  EXPECT_EQ(ioctl(fd, FIONREAD, &bytes), 0);
  return bytes;
}

std::string drain(int fd) {
  std::string bytes(static_cast<std::size_t>(bytes_in(fd)), '\0');
  EXPECT_EQ(read(fd, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  return bytes;
}

Wanted up_to(int max) {
  Wanted wanted;
  wanted.max = max;
  return wanted;
}

class JobserverTest : public testing::Test {
 protected:
  void SetUp() override {
    folder = (std::filesystem::temp_directory_path() / "jobserver-XXXXXX").string();
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    fifo = folder + "/fifo";
    ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
    fd = open(fifo.c_str(), O_RDWR | O_CLOEXEC);
    ASSERT_GE(fd, 0);
    ASSERT_EQ(write(fd, "abc", 3), 3);
    ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
    ASSERT_EQ(write(ends[1], "xyz", 3), 3);
  }
  void TearDown() override {
    for (const int one : {fd, ends[0], ends[1]}) close(one);
    std::filesystem::remove_all(folder);
  }
  [[nodiscard]] std::string fds() const {
    return std::to_string(ends[0]) + "," + std::to_string(ends[1]);
  }

  std::string folder;
  std::string fifo;
  int fd = -1;
  std::array<int, 2> ends{-1, -1};
};

TEST_F(JobserverTest, takes_from_a_fifo_and_returns_the_same_bytes) {
  const auto pool = connect_with(" -j4 --jobserver-auth=fifo:" + fifo);
  EXPECT_EQ(pool->mode(), Mode::jobserver);
  EXPECT_EQ(pool->reason(), Reason::no_address);
  EXPECT_EQ(pool->jobserver_reason(), JobserverReason::ok);
  EXPECT_EQ(pool->slots(), 4);
  {
    const auto lease = pool->acquire(up_to(3));
    ASSERT_TRUE(lease);
    EXPECT_EQ(lease->slots(), 3);
    EXPECT_EQ(bytes_in(fd), 1);
  }
  EXPECT_THAT(drain(fd), UnorderedElementsAre('a', 'b', 'c'));
}

TEST_F(JobserverTest, waits_for_a_token) {
  const auto pool = connect_with(" -j4 --jobserver-auth=fifo:" + fifo);
  const auto all = pool->acquire(up_to(4));
  ASSERT_TRUE(all);
  EXPECT_EQ(all->slots(), 4);
  const Ticket ticket = pool->begin({});
  EXPECT_FALSE(pool->take(ticket));
  EXPECT_GE(pool->fd(), 0);
  ASSERT_EQ(write(fd, "d", 1), 1);
  std::optional<Result<Lease>> taken;
  while (!(taken = pool->take(ticket))) pool->wait(std::nullopt);
  ASSERT_TRUE(*taken);
  EXPECT_EQ((*taken)->release(), 0);
  EXPECT_EQ(drain(fd), "d");
}

TEST_F(JobserverTest, waits_for_several_tokens) {
  const auto pool = connect_with(" -j8 --jobserver-auth=fifo:" + fifo);
  Wanted wanted;
  wanted.min = 5;
  const Ticket ticket = pool->begin(wanted);
  EXPECT_FALSE(pool->take(ticket));
  EXPECT_EQ(bytes_in(fd), 3) << "it holds none while it waits";
  ASSERT_EQ(write(fd, "de", 2), 2);
  std::optional<Result<Lease>> taken;
  while (!(taken = pool->take(ticket))) pool->wait(std::nullopt);
  ASSERT_TRUE(*taken);
  EXPECT_EQ((*taken)->slots(), 5);
  EXPECT_EQ(bytes_in(fd), 1);
}

TEST_F(JobserverTest, takes_from_descriptors_and_leaves_them_as_they_are) {
  for (const char* word : {" -j4 --jobserver-auth=", " -j --jobserver-fds="}) {
    const auto pool = connect_with(word + fds());
    ASSERT_EQ(pool->mode(), Mode::jobserver) << word;
    auto lease = pool->acquire(up_to(2));
    ASSERT_TRUE(lease);
    EXPECT_EQ(lease->slots(), 2);
    EXPECT_EQ(bytes_in(ends[0]), 2);
    EXPECT_EQ(fcntl(ends[0], F_GETFL) & O_NONBLOCK, 0) << "others read from it, too";
    EXPECT_EQ(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
    const Ticket ticket = pool->begin(up_to(1));
    EXPECT_TRUE(pool->take(ticket));
  }
  EXPECT_THAT(drain(ends[0]), UnorderedElementsAre('x', 'y', 'z'));
}

TEST_F(JobserverTest, the_last_auth_counts) {
  const std::string auth = " --jobserver-auth=fifo:" + fifo;
  const std::string other = " --jobserver-auth=fifo:" + folder + "/gone";
  EXPECT_EQ(connect_with("-j4" + other + auth)->mode(), Mode::jobserver);
  EXPECT_EQ(connect_with("-j4" + auth + other)->mode(), Mode::single);
  EXPECT_EQ(connect_with("-j4" + auth + " --jobserver-fds=998,999")->mode(), Mode::jobserver);
}

JobserverReason reason_of(const std::string& makeflags) {
  const auto pool = connect_with(makeflags);
  EXPECT_EQ(pool->mode(), Mode::single) << makeflags;
  return pool->jobserver_reason();
}

TEST_F(JobserverTest, tells_why_there_is_none) {
  using Why = JobserverReason;
  EXPECT_EQ(reason_of(""), Why::no_makeflags);
  EXPECT_EQ(reason_of("k -j4"), Why::no_jobserver);
  EXPECT_EQ(reason_of(" -j4 --jobserver-auth=-2,-2"), Why::no_jobserver);
  EXPECT_EQ(reason_of(" -j4 --jobserver-auth="), Why::bad_jobserver);
  EXPECT_EQ(reason_of(" -j4 --jobserver-auth=3,x"), Why::bad_jobserver);
  EXPECT_EQ(reason_of(" -j4 --jobserver-auth=fifo:"), Why::bad_jobserver);
  EXPECT_EQ(reason_of(" -j4 --jobserver-auth=gmake_semaphore_7"), Why::unsupported);
  EXPECT_EQ(reason_of(" -j4 --jobserver-auth=fifo:" + folder + "/gone"), Why::cannot_open);
  EXPECT_EQ(reason_of(" -j4 --jobserver-auth=998,999"), Why::cannot_open);
  EXPECT_EQ(reason_of(" -j4 --jobserver-auth=fifo:" + folder), Why::not_a_pipe);
  const std::string swapped = std::to_string(ends[1]) + "," + std::to_string(ends[0]);
  EXPECT_EQ(reason_of(" -j4 --jobserver-auth=" + swapped), Why::cannot_open);
  const int file = open("/dev/null", O_RDWR | O_CLOEXEC);
  const std::string number = std::to_string(file);
  EXPECT_EQ(reason_of(" -j4 --jobserver-auth=" + number + "," + number), Why::not_a_pipe);
  close(file);
}

TEST_F(JobserverTest, a_fork_returns_no_token) {
  auto pool = connect_with(" -j4 --jobserver-auth=fifo:" + fifo);
  auto lease = pool->acquire(up_to(3));
  ASSERT_TRUE(lease);
  const pid_t child = fork();
  if (child == 0) {
    lease->release();
    lease = Error{};
    pool.reset();
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(bytes_in(fd), 1);
}

TEST_F(JobserverTest, all_tokens_are_there_after_the_pool) {
  auto pool = connect_with(" -j4 --jobserver-auth=fifo:" + fifo);
  auto lease = pool->acquire(up_to(4));
  ASSERT_TRUE(lease);
  lease->detach();
  EXPECT_EQ(bytes_in(fd), 0);
  pool.reset();
  EXPECT_EQ(bytes_in(fd), 3);
}

}  // namespace
}  // namespace tokenpool::client
