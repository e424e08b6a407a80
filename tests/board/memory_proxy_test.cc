#include "board/memory_proxy.h"

#include <thread>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "jobserver/filtered.h"

namespace tokenpool::board {
namespace {

using jobserver::Delivery;
using jobserver::Filtered;
using jobserver::Listener;

class MemoryProxyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    writer = jobserver::pipe_at(50);
    ASSERT_GE(writer, 0);
  }
  void TearDown() override {
    if (front.joinable()) front.join();
    ::close(writer);
    ::close(50);
  }
  // A front that comes to it.
  bool wake(const Listener& listener) {
    front = std::thread([this, &listener] { write_for_arbiter(&request, listener); });
    return true;
  }

  static bool lives() { return true; }

  int writer = -1;
  WriteRequest request;
  std::thread front;
};

TEST_F(MemoryProxyTest, TheFrontWritesTheToken) {
  Filtered child([] {
    char byte = 'x';
    return ::read(50, &byte, 1) == 1 && byte == '+' ? 7 : 8;
  });
  const Listener listener(child.fd());
  const auto call = child.stopped(listener);
  EXPECT_EQ(
      write_through_front(&request, call, [&] { return wake(listener); }, lives), Delivery::done);
  EXPECT_EQ(request.state, WriteState::idle);
  EXPECT_EQ(listener.answer_one(call), Delivery::done);
  EXPECT_EQ(child.status(), 7);
}

TEST_F(MemoryProxyTest, WhatTheFrontMayNotWriteEither) {
  void* const nothing_there = ::mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  Filtered child([&] { return static_cast<int>(::syscall(SYS_read, 50, nothing_there, 1)); });
  const Listener listener(child.fd());
  const auto call = child.stopped(listener);
  EXPECT_EQ(write_through_front(
                &request, call, [&] { return wake(listener); }, lives),
            Delivery::unwritable);
  ::munmap(nothing_there, 4096);
}

TEST_F(MemoryProxyTest, TheReaderDiesMeanwhile) {
  Filtered child([] {
    char byte = 0;
    return static_cast<int>(::read(50, &byte, 1));
  });
  const Listener listener(child.fd());
  const auto call = child.stopped(listener);
  ::kill(child.pid(), SIGKILL);
  EXPECT_EQ(child.status(), 1000 + SIGKILL);
  EXPECT_EQ(
      write_through_front(&request, call, [&] { return wake(listener); }, lives), Delivery::gone);
}

TEST_F(MemoryProxyTest, AStoppedFrontFindsTheRequestWithdrawn) {
  Filtered child([] {
    char byte = 'x';
    return ::read(50, &byte, 1) == 1 && byte == 'y' ? 7 : 8;
  });
  const Listener listener(child.fd());
  const auto call = child.stopped(listener);
  EXPECT_EQ(write_through_front(&request, call, [] { return true; }, lives), Delivery::unwritable);
  write_for_arbiter(&request, listener);
  EXPECT_EQ(request.state, WriteState::idle) << "nothing is asked any more";
  ASSERT_EQ(::write(writer, "y", 1), 1);
  EXPECT_EQ(listener.let_continue(call), Delivery::done);
  EXPECT_EQ(child.status(), 7);
}

TEST_F(MemoryProxyTest, TheFrontIsKilledWhileItWrites) {
  const auto begins_and_dies = [&] {
    request.state = WriteState::writing;
    return true;
  };
  EXPECT_EQ(write_through_front(&request, {}, begins_and_dies, [] { return false; }),
            Delivery::unwritable);
  EXPECT_EQ(request.state, WriteState::idle);
}

TEST_F(MemoryProxyTest, ThereIsNoFront) {
  EXPECT_EQ(write_through_front(&request, {}, [] { return false; }, lives), Delivery::unwritable);
  EXPECT_EQ(request.state, WriteState::idle);
}

}  // namespace
}  // namespace tokenpool::board
