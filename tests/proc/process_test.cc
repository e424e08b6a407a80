#include "proc/process.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tokenpool::proc {
namespace {

// A child that does `body` and then waits until it is told to go on or is killed.
class Child {
 public:
  template <typename Body>
  explicit Child(Body body) {
    EXPECT_EQ(::pipe(said_.data()), 0);
    EXPECT_EQ(::pipe(go_.data()), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(go_[1]);
      body();
      const char ready = 'r';
      if (::write(said_[1], &ready, 1) != 1) ::_exit(99);
      char word = 0;
      ::_exit(::read(go_[0], &word, 1) == 1 ? word : 0);
    }
    char ready = 0;
    EXPECT_EQ(::read(said_[0], &ready, 1), 1);
  }
  Child() : Child([] {}) {}
  ~Child() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    for (const int fd : {said_[0], said_[1], go_[0], go_[1]}) ::close(fd);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  void exit_with(char status) const { EXPECT_EQ(::write(go_[1], &status, 1), 1); }
  void reap() {
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

 private:
  std::array<int, 2> said_{}, go_{};
  pid_t pid_ = 0;
};

void wait_for_end(int pidfd) {
  pollfd ended{pidfd, POLLIN, 0};
  ASSERT_EQ(::poll(&ended, 1, -1), 1);
}

TEST(Process, ReadsItself) {
  const auto self = read_process(::getpid());
  ASSERT_TRUE(self);
  EXPECT_EQ(self->id.pid, ::getpid());
  EXPECT_EQ(self->parent, ::getppid());
  EXPECT_EQ(self->group, ::getpgrp());
  EXPECT_EQ(self->session, ::getsid(0));
  EXPECT_GT(self->id.start, 0U);
  EXPECT_EQ(self->state, 'R');
}

TEST(Process, IsNotFooledByACommandWithParenthesesAndBlanks) {
  Child child([] {
    std::thread([] {}).join();  // libc is up
    const int fd = ::open("/proc/self/comm", O_WRONLY);
    ASSERT_EQ(::write(fd, "a) R 1 (b", 9), 9);
  });
  const auto info = read_process(child.pid());
  ASSERT_TRUE(info);
  EXPECT_EQ(info->parent, ::getpid());
}

TEST(Process, OneThatIsGoneIsNothing) {
  Child child;
  const auto pid = child.pid();
  const auto id = read_process(pid)->id;
  EXPECT_TRUE(is_alive(id));
  EXPECT_FALSE(is_alive({pid, id.start + 1})) << "another process with the same pid";
  ::kill(pid, SIGKILL);
  child.reap();
  EXPECT_FALSE(read_process(pid));
  EXPECT_FALSE(is_alive(id));
  EXPECT_EQ(process_of_thread(pid), 0);
  EXPECT_EQ(command_of(pid), "");
}

TEST(Process, AThreadBelongsToItsProcess) {
  pid_t tid = 0;
  pid_t owner = 0;
  std::thread([&] {
    tid = ::gettid();
    owner = process_of_thread(tid);
  }).join();
  EXPECT_NE(tid, ::getpid());
  EXPECT_EQ(owner, ::getpid());
}

TEST(Process, OnlyItsFirstThreadHasTheNumberOfAProcess) {
  EXPECT_TRUE(is_process(::getpid()));
  EXPECT_FALSE(is_process(std::numeric_limits<pid_t>::max()));
  pid_t tid = 0;
  std::thread([&tid] {
    tid = ::gettid();
    EXPECT_FALSE(is_process(tid));
  }).join();
  EXPECT_NE(tid, ::getpid());
}

TEST(Process, TellsWhoWaitsInAWrite) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  const pid_t writer = ::fork();
  if (writer == 0) {
    const std::array<char, 4096> page{};
    while (::write(ends[1], page.data(), page.size()) > 0) continue;
    ::_exit(0);
  }
  while (!is_writing(writer, ends[1])) ::usleep(1000);
  EXPECT_FALSE(is_writing(writer, ends[0]));
  EXPECT_FALSE(is_writing(::getpid(), ends[1]));
  struct stat status{};
  ASSERT_EQ(::fstat(ends[0], &status), 0);
  EXPECT_FALSE(waits_to_read(writer, {status.st_dev, status.st_ino}));
  ::kill(writer, SIGKILL);
  ::waitpid(writer, nullptr, 0);
  EXPECT_FALSE(is_writing(writer, ends[1]));
  for (const int end : ends) ::close(end);
}

TEST(Process, TellsWhoWaitsToRead) {
  std::array<int, 2> ends{}, others{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  ASSERT_EQ(::pipe(others.data()), 0);
  const auto id_of = [](int fd) {
    struct stat status{};
    ::fstat(fd, &status);
    return FileId{status.st_dev, status.st_ino};
  };
  const pid_t reader = ::fork();
  if (reader == 0) {
    char byte = 0;
    std::thread([&] { (void)!::read(ends[0], &byte, 1); }).join();
    ::_exit(0);
  }
  while (!waits_to_read(reader, id_of(ends[0]))) ::usleep(1000);
  EXPECT_FALSE(waits_to_read(reader, id_of(others[0])));
  EXPECT_FALSE(waits_to_read(::getpid(), id_of(ends[0])));
  ::kill(reader, SIGKILL);
  ::waitpid(reader, nullptr, 0);
  EXPECT_FALSE(waits_to_read(reader, id_of(ends[0])));
  for (const int end : {ends[0], ends[1], others[0], others[1]}) ::close(end);
}

TEST(Process, KnowsThePidNamespace) {
  EXPECT_NE(pid_namespace(::getpid()), 0U);
  EXPECT_EQ(pid_namespace(::getpid()), pid_namespace(::getppid()));
  EXPECT_EQ(pid_namespace(std::numeric_limits<pid_t>::max()), 0U);
}

TEST(Process, ChildrenAndDescendantsAndAncestors) {
  std::array<int, 2> told{};
  ASSERT_EQ(::pipe(told.data()), 0);
  Child child([&] {
    const pid_t grandchild = ::fork();
    if (grandchild == 0) {
      ::pause();
      ::_exit(0);
    }
    if (::write(told[1], &grandchild, sizeof grandchild) < 0) ::_exit(99);
  });
  pid_t grandchild = 0;
  ASSERT_EQ(::read(told[0], &grandchild, sizeof grandchild),
            static_cast<ssize_t>(sizeof grandchild));
  const auto is = [](pid_t pid) { return [pid](const ProcessInfo& p) { return p.id.pid == pid; }; };
  const auto children = children_of(::getpid());
  EXPECT_TRUE(std::any_of(children.begin(), children.end(), is(child.pid())));
  EXPECT_FALSE(std::any_of(children.begin(), children.end(), is(grandchild)));
  const auto all = descendants_of(::getpid());
  EXPECT_TRUE(std::any_of(all.begin(), all.end(), is(grandchild)));

  const auto info = read_process(grandchild);
  ASSERT_TRUE(info);
  const auto ancestors = ancestors_below(*info, ::getpid());
  ASSERT_EQ(ancestors.size(), 1U);
  EXPECT_EQ(ancestors[0].pid, child.pid());
  EXPECT_TRUE(ancestors_below(*read_process(child.pid()), ::getpid()).empty());
  EXPECT_TRUE(ancestors_below(*info, 0x7ffffff0).empty()) << "no descendant of that one";
  ::kill(grandchild, SIGKILL);
  ::close(told[0]);
  ::close(told[1]);
}

// Between two looks a shell may end: its child is read, it is gone when it is looked for.
TEST(Process, AParentThatEndsMeanwhile) {
  std::array<int, 2> told{};
  ASSERT_EQ(::pipe(told.data()), 0);
  Child reaper([&] {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    ::signal(SIGCHLD, SIG_IGN);  // nobody waits for its children
    const pid_t shell = ::fork();
    if (shell != 0) return;
    const std::array<pid_t, 2> pids{::getpid(), ::fork()};
    if (pids[1] != 0 && ::write(told[1], pids.data(), sizeof pids) < 0) ::_exit(99);
    ::pause();
    ::_exit(0);
  });
  std::array<pid_t, 2> pids{};
  ASSERT_EQ(::read(told[0], pids.data(), sizeof pids), static_cast<ssize_t>(sizeof pids));
  const auto shell = read_process(pids[0]);
  const auto helper = read_process(pids[1]);
  ASSERT_TRUE(shell && helper);
  EXPECT_EQ(helper->parent, shell->id.pid);
  ::kill(shell->id.pid, SIGKILL);
  while (read_process(shell->id.pid)) ::usleep(1000);

  const core::ProcessId top = read_process(reaper.pid())->id;
  EXPECT_EQ(ancestors_below(*helper, ::getpid()), std::vector{top}) << "its parent now";
  const auto remembered = [&](pid_t pid) {
    return pid == shell->id.pid ? shell : std::optional<ProcessInfo>();
  };
  EXPECT_EQ(ancestors_below(*helper, ::getpid(), remembered), (std::vector{shell->id, top}));
  ::kill(helper->id.pid, SIGKILL);
  ::close(told[0]);
  ::close(told[1]);
}

TEST(Process, FindsWhoHasAFileOpen) {
  std::string path = ::testing::TempDir() + "/tokenpool-open-XXXXXX";
  const int fd = ::mkstemp(path.data());
  ASSERT_GE(fd, 0);
  struct stat status{};
  ASSERT_EQ(::fstat(fd, &status), 0);
  const FileId file{status.st_dev, status.st_ino};
  Child child;
  EXPECT_TRUE(descriptor_is(::getpid(), fd, file));
  EXPECT_TRUE(descriptor_is(child.pid(), fd, file));
  EXPECT_FALSE(descriptor_is(::getpid(), 0, file));
  EXPECT_FALSE(descriptor_is(::getpid(), 1023, file));
  const auto openers = processes_with_open(file, {-1, fd});
  const auto is_there = [&](const Opener& who) {
    return std::find(openers.begin(), openers.end(), who) != openers.end();
  };
  EXPECT_TRUE(is_there({child.pid(), false}));
  EXPECT_TRUE(is_there({::getpid(), false}));
  const int other = ::dup(fd);
  const auto now = processes_with_open(file, {-1, fd});
  EXPECT_NE(std::find(now.begin(), now.end(), Opener{::getpid(), true}), now.end());
  ::close(other);
  ::unlink(path.c_str());
  ::close(fd);
}

TEST(Process, TellsTheDescriptionsMode) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_NONBLOCK), 0);
  EXPECT_TRUE(descriptor_is_nonblocking(::getpid(), ends[0]));
  ::fcntl(ends[0], F_SETFL, 0);
  EXPECT_FALSE(descriptor_is_nonblocking(::getpid(), ends[0]));
  EXPECT_TRUE(descriptor_is_nonblocking(::getpid(), ends[1]));
  EXPECT_FALSE(descriptor_is_nonblocking(::getpid(), 1023));
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST(Process, TellsWhichProgramIsRun) {
  const Child child;
  const FileId program = own_program();
  EXPECT_NE(program, FileId{});
  EXPECT_TRUE(runs_program(::getpid(), program));
  EXPECT_TRUE(runs_program(child.pid(), program));
  EXPECT_FALSE(runs_program(::getpid(), FileId{program.device, program.inode + 1}));
  EXPECT_FALSE(runs_program(std::numeric_limits<pid_t>::max(), program)) << "there is none";
}

TEST(Process, TellsWhetherADescriptorIsThere) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  EXPECT_TRUE(has_descriptor(::getpid(), ends[0]));
  ::close(ends[0]);
  EXPECT_FALSE(has_descriptor(::getpid(), ends[0]));
  ::close(ends[1]);
}

TEST(Process, CountsWhatAThreadReadsAndWrites) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_NONBLOCK), 0);
  std::array<char, 4> bytes{};
  const auto before = io_counts(::gettid());
  if (!before) GTEST_SKIP() << "the kernel does not tell";
  EXPECT_EQ(::write(ends[1], "abc", 3), 3);
  EXPECT_EQ(::read(ends[0], bytes.data(), 4), 3);
  EXPECT_EQ(::read(ends[0], bytes.data(), 4), -1);
  const auto after = io_counts(::gettid());
  // Reading the counts is counted as well.
  std::optional<IoCounts> other;
  std::thread([&other] { other = io_counts(::gettid()); }).join();
  EXPECT_EQ(after->writes, before->writes + 1);
  EXPECT_GE(after->reads, before->reads + 3);
  EXPECT_GE(after->bytes_read, before->bytes_read + 3);
  EXPECT_EQ(other->writes, 0U);
  EXPECT_EQ(io_counts(0), std::nullopt);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST(Process, FindsAWholeAssignmentInTheEnvironment) {
  const std::array<const char*, 3> environment{"TOKENPOOL_FIFO=/a/fifo", "B=TOKENPOOL_FIFO=/b",
                                               nullptr};
  std::array<int, 2> input{};
  std::array<int, 2> output{};
  ASSERT_EQ(::pipe2(input.data(), O_CLOEXEC), 0);
  ASSERT_EQ(::pipe2(output.data(), O_CLOEXEC), 0);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::dup2(input[0], 0);
    ::dup2(output[1], 1);
    ::execle("/bin/cat", "cat", nullptr, environment.data());
    ::_exit(127);
  }
  // Its name is there before its environment is; what it copies, it copies with both.
  char byte = 'x';
  ASSERT_EQ(::write(input[1], &byte, 1), 1);
  ASSERT_EQ(::read(output[0], &byte, 1), 1);
  EXPECT_EQ(command_of(pid), "cat");
  EXPECT_TRUE(environment_has(pid, "TOKENPOOL_FIFO=/a/fifo"));
  EXPECT_FALSE(environment_has(pid, "TOKENPOOL_FIFO=/a"));
  EXPECT_FALSE(environment_has(pid, "TOKENPOOL_FIFO=/b"));
  for (const int end : {input[0], input[1], output[0], output[1]}) ::close(end);
  ::waitpid(pid, nullptr, 0);
}

class EndCauseOf : public ::testing::TestWithParam<std::pair<int, core::EndCause>> {};

TEST_P(EndCauseOf, IsKnownBeforeTheProcessIsReaped) {
  Child child;
  const int pidfd = open_pidfd(child.pid());
  ASSERT_GE(pidfd, 0);
  const auto [how, cause] = GetParam();
  if (how < 0) {
    ::kill(child.pid(), -how);
  } else {
    child.exit_with(static_cast<char>(how));
  }
  wait_for_end(pidfd);
  EXPECT_EQ(end_cause(pidfd, child.pid()), cause);
  const pid_t pid = child.pid();
  child.reap();
  // Whether the kernel still knows depends on its version; it must never say anything else.
  const auto later = end_cause(pidfd, pid);
  EXPECT_TRUE(later == cause || later == core::EndCause::unknown);
  ::close(pidfd);
}

INSTANTIATE_TEST_SUITE_P(All, EndCauseOf,
                         ::testing::Values(std::pair{0, core::EndCause::succeeded},
                                           std::pair{3, core::EndCause::failed},
                                           std::pair{-SIGKILL, core::EndCause::killed},
                                           std::pair{-SIGTERM, core::EndCause::killed}));

}  // namespace
}  // namespace tokenpool::proc
