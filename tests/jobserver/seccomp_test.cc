#include "jobserver/seccomp.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <functional>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jobserver/filtered.h"

namespace tokenpool::jobserver {
namespace {

TEST(Seccomp, AOneByteReadIsCarriedOutForTheCaller) {
  const int never = pipe_at(50);
  ASSERT_GE(never, 0);
  Filtered child([] {
    char byte = 'x';
    return ::read(50, &byte, 1) == 1 && byte == '+' ? 7 : 8;
  });
  const Listener listener(child.fd());
  const auto call = child.stopped(listener);
  EXPECT_EQ(call.call, Call::read);
  EXPECT_EQ(call.fd, 50);
  EXPECT_EQ(call.thread, child.pid());
  EXPECT_TRUE(listener.is_waiting(call.id));
  EXPECT_EQ(listener.write_token(call), Delivery::done);
  EXPECT_EQ(listener.answer_one(call), Delivery::done);
  EXPECT_EQ(child.status(), 7);
  EXPECT_FALSE(listener.is_waiting(call.id));
  EXPECT_EQ(listener.write_token(call), Delivery::gone);
  EXPECT_EQ(listener.answer_one(call), Delivery::gone);
  EXPECT_EQ(listener.let_continue(call), Delivery::gone);
  EXPECT_TRUE(listener.hung_up());
  Receipt next;
  EXPECT_EQ(listener.receive(&next), Received::hung_up);
}

TEST(Seccomp, AOneByteWriteAndAnErrorAndTheKernelsOwnWay) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  Filtered child([&] {
    if (::write(ends[1], "a", 1) != 1) return 1;
    if (::write(ends[1], "b", 1) != -1 || errno != EAGAIN) return 2;
    if (::write(ends[1], "c", 1) != 1) return 3;
    return 0;
  });
  const Listener listener(child.fd());
  auto call = child.stopped(listener);
  EXPECT_EQ(call.call, Call::write);
  EXPECT_EQ(listener.answer_one(call), Delivery::done);
  call = child.stopped(listener);
  EXPECT_EQ(listener.answer_error(call, EAGAIN), Delivery::done);
  call = child.stopped(listener);
  EXPECT_EQ(listener.let_continue(call), Delivery::done);
  EXPECT_EQ(child.status(), 0);
  char byte = 0;
  EXPECT_EQ(::read(ends[0], &byte, 1), 1);
  EXPECT_EQ(byte, 'c') << "only the last one reached the pipe";
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST(Seccomp, WhoEndsByItselfSaysWithWhichStatus) {
  Filtered child(
      [] {
        if (const pid_t killed = ::fork(); killed == 0) {
          ::raise(SIGKILL);
        } else {
          ::waitpid(killed, nullptr, 0);
        }
        return 3;
      },
      true);
  const Listener listener(child.fd());
  const auto call = child.stopped(listener);
  EXPECT_EQ(call.call, Call::exit);
  EXPECT_EQ(call.thread, child.pid()) << "one that is killed says nothing";
  EXPECT_EQ(call.fd, 3);
  EXPECT_EQ(listener.let_continue(call), Delivery::done);
  EXPECT_EQ(child.status(), 3);
}

TEST(Seccomp, WhoBecomesASubreaperIsStopped) {
  Filtered child([] {
    if (::prctl(PR_SET_CHILD_SUBREAPER, 0) != 0 || ::prctl(PR_SET_NAME, "name") != 0) return 1;
    return ::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0 ? 0 : 2;
  });
  const Listener listener(child.fd());
  const auto call = child.stopped(listener);
  EXPECT_EQ(call.call, Call::subreaper);
  EXPECT_EQ(call.thread, child.pid());
  EXPECT_EQ(listener.let_continue(call), Delivery::done);
  EXPECT_EQ(child.status(), 0);
}

TEST(Seccomp, WhoWantsPacketsIsStopped) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  Filtered child([&] {
    if (::fcntl(ends[1], F_SETFL, O_NONBLOCK) != 0) return 1;
    return ::fcntl(ends[1], F_SETFL, O_DIRECT | O_NONBLOCK) == 0 ? 2 : errno;
  });
  const Listener listener(child.fd());
  const auto call = child.stopped(listener);
  EXPECT_EQ(call.call, Call::packets);
  EXPECT_EQ(call.thread, child.pid());
  EXPECT_EQ(call.fd, ends[1]);
  EXPECT_EQ(listener.answer_error(call, EINVAL), Delivery::done);
  EXPECT_EQ(child.status(), EINVAL);
  EXPECT_EQ(::fcntl(ends[1], F_GETFL) & O_DIRECT, 0);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST(Seccomp, OtherCallsAreLeftAlone) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  Filtered child([&] {
    std::array<char, 2> two{};
    if (::write(ends[1], "ab", 2) != 2 || ::read(ends[0], two.data(), 2) != 2) return 1;
    if (::dup2(ends[0], 0) != 0 || ::write(ends[1], "cd", 2) != 2) return 2;
    if (::read(0, two.data(), 1) != 1) return 3;  // a shell's input
    if (::read(-1, two.data(), 0) != -1) return 4;
    if (::dup2(ends[0], kReadEnd) != kReadEnd) return 5;
    if (::dup2(kReadEnd, 77) != 77) return 6;
    return 0;
  });
  EXPECT_EQ(child.status(), 0);
  const Listener listener(child.fd());
  Receipt next;
  EXPECT_EQ(listener.receive(&next), Received::hung_up);
  EXPECT_FALSE(next.call());
}

TEST(Seccomp, WhatAProcessReceivedBeforeItWasKilledIsFoundByTheNextOne) {
  ASSERT_GE(pipe_at(50), 0);
  Filtered child([] {
    char byte = 'x';
    return ::read(50, &byte, 1) == 1 && byte == '+' ? 7 : 8;
  });
  void* shared =
      ::mmap(nullptr, sizeof(Receipt), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(shared, MAP_FAILED);
  auto* receipt = new (shared) Receipt;
  const pid_t receiver = ::fork();
  if (receiver == 0) {
    const Listener listener(child.fd());
    while (listener.receive(receipt) != Received::call) {
    }
    ::kill(::getpid(), SIGKILL);
  }
  ASSERT_EQ(::waitpid(receiver, nullptr, 0), receiver);
  const Listener listener(child.fd());
  Receipt other;
  EXPECT_EQ(listener.receive(&other), Received::nothing) << "the kernel hands it out once";
  const auto call = receipt->call();
  ASSERT_TRUE(call);
  EXPECT_EQ(call->thread, child.pid());
  EXPECT_TRUE(listener.is_waiting(call->id));
  EXPECT_EQ(listener.write_token(*call), Delivery::done);
  EXPECT_EQ(listener.answer_one(*call), Delivery::done);
  EXPECT_EQ(child.status(), 7);
  ::munmap(shared, sizeof(Receipt));
}

TEST(Seccomp, ADuplicateOfAnInheritedEndOntoAStandardDescriptorIsAnnounced) {
  ASSERT_GE(pipe_at(kReadEnd), 0);
  Filtered child([] { return ::dup2(kReadEnd, 0) == 0 ? 0 : 1; });
  const Listener listener(child.fd());
  const auto call = child.stopped(listener);
  EXPECT_EQ(call.call, Call::duplicate);
  EXPECT_EQ(call.fd, kReadEnd);
  EXPECT_EQ(listener.let_continue(call), Delivery::done);
  EXPECT_EQ(child.status(), 0);
  ::close(kReadEnd);
}

TEST(Seccomp, WhateverIsReadOrWrittenOnAnInheritedEndIsAnnounced) {
  const int writer = pipe_at(kReadEnd);
  ASSERT_EQ(::dup2(writer, kWriteEnd), kWriteEnd);
  Filtered child([] {
    std::array<char, 8> eight{};
    if (::write(kWriteEnd, "abc", 3) != 3) return 1;
    return ::read(kReadEnd, eight.data(), eight.size()) == 3 ? 0 : 2;
  });
  const Listener listener(child.fd());
  const auto written = child.stopped(listener);
  EXPECT_EQ(written.call, Call::write);
  EXPECT_EQ(written.fd, kWriteEnd);
  EXPECT_EQ(written.count, 3U);
  EXPECT_EQ(listener.let_continue(written), Delivery::done);
  const auto read = child.stopped(listener);
  EXPECT_EQ(read.call, Call::read);
  EXPECT_EQ(read.fd, kReadEnd);
  EXPECT_EQ(read.count, 8U);
  EXPECT_EQ(listener.let_continue(read), Delivery::done);
  EXPECT_EQ(child.status(), 0);
  for (const int fd : {writer, kReadEnd, kWriteEnd}) ::close(fd);
}

TEST(Seccomp, AnUnwritableBufferIsLeftToTheKernel) {
  const int writer = pipe_at(50);
  ASSERT_EQ(::write(writer, "y", 1), 1);
  // A pointer that the compiler knows nothing of, or it would not let the call be made.
  void* const nothing_there = ::mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  Filtered child(
      [&] { return ::syscall(SYS_read, 50, nothing_there, 1) == -1 && errno == EFAULT ? 0 : 1; });
  const Listener listener(child.fd());
  const auto call = child.stopped(listener);
  EXPECT_EQ(listener.write_token(call), Delivery::unwritable);
  EXPECT_EQ(listener.let_continue(call), Delivery::done);
  EXPECT_EQ(child.status(), 0);
  ::munmap(nothing_there, 4096);
  ::close(writer);
  ::close(50);
}

TEST(Seccomp, ASignalTakesTheCallBack) {
  ASSERT_GE(pipe_at(50), 0);
  Filtered child([] {
    struct sigaction action{};
    action.sa_handler = [](int) {};
    ::sigaction(SIGUSR1, &action, nullptr);
    char byte = 0;
    return ::read(50, &byte, 1) == -1 && errno == EINTR ? 0 : 1;
  });
  const Listener listener(child.fd());
  const auto call = child.stopped(listener);
  ::kill(child.pid(), SIGUSR1);
  EXPECT_EQ(child.status(), 0);
  EXPECT_EQ(listener.write_token(call), Delivery::gone);
}

TEST(Seccomp, AKilledCallerIsGone) {
  ASSERT_GE(pipe_at(50), 0);
  Filtered child([] {
    char byte = 0;
    return static_cast<int>(::read(50, &byte, 1));
  });
  const Listener listener(child.fd());
  const auto call = child.stopped(listener);
  ::kill(child.pid(), SIGKILL);
  EXPECT_EQ(child.status(), 1000 + SIGKILL);
  EXPECT_EQ(listener.write_token(call), Delivery::gone);
  pollfd hang_up{child.fd(), 0, 0};
  EXPECT_EQ(::poll(&hang_up, 1, -1), 1);
  EXPECT_TRUE(listener.hung_up());
}

TEST(Seccomp, RootKeepsSetuidProgramsWorking) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs CAP_SYS_ADMIN";
  Filtered child([] { return ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); });
  EXPECT_EQ(child.status(), 0);
}

TEST(Seccomp, ASecondListenerIsRefused) {
  Filtered child(
      [] { return install_filter(kReadEnd, kWriteEnd) == -1 && errno == EBUSY ? 0 : 1; });
  EXPECT_EQ(child.status(), 0);
}

}  // namespace
}  // namespace tokenpool::jobserver
