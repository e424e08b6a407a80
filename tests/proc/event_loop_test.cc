#include "proc/event_loop.h"

#include <array>
#include <chrono>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

#include "proc/clock.h"

namespace tokenpool::proc {
namespace {

struct Pipe {
  Pipe() { EXPECT_EQ(::pipe(ends.data()), 0); }
  ~Pipe() {
    for (const int fd : ends) {
      if (fd >= 0) ::close(fd);
    }
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void fill() const { EXPECT_EQ(::write(ends[1], "x", 1), 1); }
  void drain() const {
    char byte = 0;
    EXPECT_EQ(::read(ends[0], &byte, 1), 1);
  }
  std::array<int, 2> ends{-1, -1};
};

TEST(EventLoop, TellsAsLongAsThereIsSomethingToRead) {
  EventLoop loop;
  ASSERT_TRUE(loop.works());
  const Pipe pipe;
  int calls = 0;
  pipe.fill();
  ASSERT_TRUE(loop.watch(pipe.ends[0], [&](bool readable) {
    EXPECT_TRUE(readable);
    if (++calls == 3) pipe.drain();
    if (calls == 3) loop.set_deadline(now(), [&] { loop.stop(); });
  }));
  loop.run();
  EXPECT_EQ(calls, 3);
}

TEST(EventLoop, TellsAHangUpFromSomethingToRead) {
  EventLoop loop;
  Pipe pipe;
  pipe.fill();
  ::close(pipe.ends[1]);
  pipe.ends[1] = -1;
  std::string seen;
  ASSERT_TRUE(loop.watch(pipe.ends[0], [&](bool readable) {
    seen += readable ? 'r' : 'h';
    if (readable) return pipe.drain();
    loop.forget(pipe.ends[0]);
    loop.stop();
  }));
  loop.run();
  EXPECT_EQ(seen, "rh");
}

TEST(EventLoop, WhoIsForgottenInABatchIsNotTold) {
  EventLoop loop;
  const Pipe one;
  const Pipe other;
  one.fill();
  other.fill();
  int calls = 0;
  const auto forgets = [&](bool) {
    ++calls;
    loop.forget(one.ends[0]);
    loop.forget(other.ends[0]);
    loop.set_deadline(now(), [&] { loop.stop(); });
  };
  ASSERT_TRUE(loop.watch(one.ends[0], forgets));
  ASSERT_TRUE(loop.watch(other.ends[0], forgets));
  loop.run();
  EXPECT_EQ(calls, 1);
}

TEST(EventLoop, ANumberThatIsUsedAgainIsAnotherOne) {
  EventLoop loop;
  Pipe one;
  Pipe other;
  const Pipe third;
  one.fill();
  other.fill();
  int replaced = 0;
  // Whichever is told first, the number of the other one is the third pipe's from then on.
  const auto replace = [&](Pipe* pipe) {
    loop.forget(one.ends[0]);
    loop.forget(other.ends[0]);
    ASSERT_EQ(::dup2(third.ends[0], pipe->ends[0]), pipe->ends[0]);
    ASSERT_TRUE(loop.watch(pipe->ends[0], [&](bool) { ++replaced; }));
    loop.set_deadline(now(), [&] { loop.stop(); });
  };
  ASSERT_TRUE(loop.watch(one.ends[0], [&](bool) { replace(&other); }));
  ASSERT_TRUE(loop.watch(other.ends[0], [&](bool) { replace(&one); }));
  loop.run();
  EXPECT_EQ(replaced, 0);
}

TEST(EventLoop, TheLastDeadlineCounts) {
  EventLoop loop;
  std::string seen;
  loop.set_deadline(now() + std::chrono::hours(1), [&] { seen += "late"; });
  loop.set_deadline(std::nullopt);
  // Long past, also at the beginning of time.
  loop.set_deadline(core::Instant{}, [&] {
    seen += "early";
    loop.stop();
  });
  loop.run();
  EXPECT_EQ(seen, "early");
}

TEST(EventLoop, WhatCannotBeWaitedForIsRefused) {
  EventLoop loop;
  EXPECT_FALSE(loop.watch(-1, [](bool) {}));
  loop.forget(-1);
}

}  // namespace
}  // namespace tokenpool::proc
