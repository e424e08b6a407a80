#include "client/local_engine.h"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tokenpool::client {
namespace {

using namespace std::chrono_literals;  // NOLINT

class FakeSource : public TokenSource {
 public:
  explicit FakeSource(std::string* tokens) : tokens_(tokens) {}
  std::optional<char> take() override {
    if (tokens_->empty()) return std::nullopt;
    const char token = tokens_->front();
    tokens_->erase(0, 1);
    return token;
  }
  void give(char token) override { *tokens_ += token; }
  [[nodiscard]] int fd() const override { return 99; }
  [[nodiscard]] short events() const override { return 1; }

 private:
  std::string* tokens_;
};

class LocalEngineTest : public testing::Test {
 protected:
  std::unique_ptr<LocalEngine> with_tokens(const std::string& tokens, int slots) {
    fifo = tokens;
    return std::make_unique<LocalEngine>(
        Engine::Why{.mode = Mode::jobserver, .reason = Reason::no_address, .jobserver = {}},
        std::make_unique<FakeSource>(&fifo), slots, "");
  }
  static std::unique_ptr<LocalEngine> single() {
    return std::make_unique<LocalEngine>(Engine::Why{}, nullptr, 1, "");
  }
  static Wanted range(int min, int max) {
    Wanted wanted;
    wanted.min = min;
    wanted.max = max;
    return wanted;
  }
  LeaseKey acquire(LocalEngine& engine, int min, int max) {
    const auto taken = engine.take(engine.begin(range(min, max), now));
    return taken && *taken ? **taken : 0;
  }

  std::string fifo;
  Instant now = 1000s;
};

TEST_F(LocalEngineTest, the_first_slot_costs_no_token) {
  const auto engine = with_tokens("abc", 4);
  const LeaseKey first = acquire(*engine, 1, 1);
  EXPECT_EQ(engine->lease(first).slots, 1);
  EXPECT_EQ(fifo, "abc");
  const LeaseKey second = acquire(*engine, 1, 2);
  EXPECT_EQ(engine->lease(second).slots, 2);
  EXPECT_EQ(fifo, "c");
  engine->release(first, 0, now);
  EXPECT_EQ(fifo, "c") << "it was the implicit slot";
  const LeaseKey third = acquire(*engine, 1, 1);
  EXPECT_EQ(engine->lease(third).slots, 1);
  EXPECT_EQ(fifo, "c") << "the implicit slot again";
}

TEST_F(LocalEngineTest, returns_the_same_bytes_and_the_implicit_slot_last) {
  const auto engine = with_tokens("abc", 4);
  const LeaseKey key = acquire(*engine, 1, 4);
  EXPECT_EQ(engine->lease(key).slots, 4);
  EXPECT_EQ(engine->release(key, 2, now), 2);
  EXPECT_EQ(fifo, "cb");
  EXPECT_EQ(engine->release(key, 1, now), 1);
  EXPECT_EQ(fifo, "cba");
  EXPECT_EQ(engine->release(key, 1, now), 0);
  EXPECT_EQ(fifo, "cba");
}

TEST_F(LocalEngineTest, holds_nothing_while_it_waits_for_several) {
  const auto engine = with_tokens("ab", 8);
  const Ticket ticket = engine->begin(range(4, 4), now);
  EXPECT_EQ(engine->take(ticket), std::nullopt);
  EXPECT_THAT(fifo, testing::UnorderedElementsAre('a', 'b'));
  engine->process(now);
  EXPECT_EQ(engine->fd(), -1) << "a poll would return at once";
  EXPECT_EQ(engine->deadline(), now + kFirstPause);
  fifo += "c";
  now += kFirstPause;
  engine->process(now);
  EXPECT_EQ(engine->fd(), 99);
  EXPECT_EQ(engine->deadline(), std::nullopt);
  engine->process(now);
  const auto taken = engine->take(ticket);
  ASSERT_TRUE(taken && *taken);
  EXPECT_EQ(engine->lease(**taken).slots, 4);
}

TEST_F(LocalEngineTest, serves_requests_in_their_order) {
  const auto engine = with_tokens("", 4);
  const LeaseKey held = acquire(*engine, 1, 1);
  const Ticket first = engine->begin(range(1, 1), now);
  const Ticket second = engine->begin(range(1, 1), now);
  EXPECT_EQ(engine->fd(), 99);
  fifo = "a";
  engine->process(now);
  EXPECT_TRUE(engine->take(first));
  EXPECT_EQ(engine->take(second), std::nullopt);
  engine->release(held, 0, now);
  EXPECT_TRUE(engine->take(second)) << "the implicit slot";
  EXPECT_EQ(engine->fd(), -1) << "nobody waits";
}

TEST_F(LocalEngineTest, looks_at_deadlines) {
  const auto engine = with_tokens("", 4);
  acquire(*engine, 1, 1);
  Wanted wanted;
  wanted.timeout = 0s;
  EXPECT_EQ(engine->take(engine->begin(wanted, now))->error().code, -32003);
  wanted.timeout = 2s;
  const Ticket ticket = engine->begin(wanted, now);
  EXPECT_EQ(engine->deadline(), now + 2s);
  engine->process(now + 2s - 1ns);
  EXPECT_EQ(engine->take(ticket), std::nullopt);
  engine->process(now + 2s);
  EXPECT_EQ(engine->take(ticket)->error().code, -32003);
}

TEST_F(LocalEngineTest, refuses_what_can_never_be) {
  const auto engine = with_tokens("abc", 4);
  EXPECT_EQ(engine->take(engine->begin(range(5, 5), now))->error().code, -32005);
  EXPECT_EQ(engine->take(engine->begin(range(0, 1), now))->error().code, -32602);
  EXPECT_EQ(engine->take(engine->begin(range(3, 2), now))->error().code, -32602);
  EXPECT_EQ(engine->take(engine->begin(range(1, 513), now))->error().code, -32602);
  EXPECT_EQ(single()->take(2)->error().code, 0);
  const auto alone = single();
  EXPECT_EQ(alone->take(alone->begin(range(2, 2), now))->error().code, -32005);
  const auto unknown = with_tokens("", 1);
  EXPECT_EQ(unknown->take(unknown->begin(range(9, 9), now)), std::nullopt)
      << "nobody told how many tokens there are";
}

TEST_F(LocalEngineTest, resizes_without_waiting) {
  const auto engine = with_tokens("abc", 4);
  const auto resize = [&](LeaseKey key, int min, int max) {
    return *engine->take_answer(engine->resize(key, min, max, now));
  };
  const LeaseKey key = acquire(*engine, 1, 1);
  EXPECT_EQ(resize(key, 2, 3)->number, 3);
  EXPECT_EQ(fifo, "c");
  EXPECT_EQ(resize(key, 5, 8).error().code, -32003);
  EXPECT_EQ(engine->lease(key).slots, 3);
  EXPECT_EQ(fifo, "c");
  EXPECT_EQ(resize(key, 1, 1)->number, 1);
  EXPECT_EQ(fifo, "cba");
  EXPECT_EQ(resize(key, 0, 1).error().code, -32602);
  EXPECT_EQ(resize(key + 100, 1, 1).error().code, -32006);
}

TEST_F(LocalEngineTest, cancels_and_drops) {
  const auto engine = single();
  const LeaseKey held = acquire(*engine, 1, 1);
  const Ticket first = engine->begin({}, now);
  const Ticket second = engine->begin({}, now);
  const Ticket third = engine->begin({}, now);
  EXPECT_EQ((*engine->take_answer(engine->cancel(first, now)))->number, 1);
  EXPECT_EQ(engine->take(first)->error().code, -32004);
  EXPECT_EQ((*engine->take_answer(engine->cancel(first, now)))->number, 0);
  engine->drop(second, now);
  engine->release(held, 0, now);
  engine->drop(third, now);
  EXPECT_NE(acquire(*engine, 1, 1), 0U) << "what was granted and dropped is free";
}

TEST_F(LocalEngineTest, returns_all_tokens_at_its_end) {
  auto engine = with_tokens("abc", 4);
  acquire(*engine, 1, 3);
  engine->detach(acquire(*engine, 1, 1));
  EXPECT_EQ(fifo, "");
  engine.reset();
  EXPECT_THAT(fifo, testing::UnorderedElementsAre('a', 'b', 'c'));
}

TEST_F(LocalEngineTest, fails_all_that_needs_an_arbiter_where_nothing_else_is_allowed) {
  LocalEngine engine({}, nullptr, 1, "no arbiter");
  const auto taken = engine.take(engine.begin({}, now));
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->error().code, 0);
  EXPECT_EQ(taken->error().message, "no arbiter");
  EXPECT_EQ(engine.take_answer(engine.call("status", "{}", now))->error().code, 0);
}

}  // namespace
}  // namespace tokenpool::client
