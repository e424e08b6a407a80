#include <optional>
#include <string>
#include <utility>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/fake_server.h"

namespace tokenpool::client {
namespace {

using testing::HasSubstr;
using testing::Not;

Wanted slots(int count) {
  Wanted wanted;
  wanted.min = count;
  return wanted;
}

TEST(Pool, acquires_and_gives_back_by_scope) {
  FakeServer server;
  const auto pool = server.connected();
  EXPECT_EQ(pool->reason(), Reason::ok);
  EXPECT_EQ(pool->slots(), 4);
  EXPECT_EQ(pool->server(), "fake");
  EXPECT_EQ(pool->session(), 3U);
  EXPECT_TRUE(pool->connected());
  EXPECT_THAT(server.hello, HasSubstr("\"name\":\"test\""));
  EXPECT_THAT(server.hello, HasSubstr("\"start\":"));
  EXPECT_THAT(server.hello, Not(HasSubstr("\"lease\"")));
  {
    server.grant(1, 7, 2);
    const auto lease = pool->acquire(slots(2));
    ASSERT_TRUE(lease) << lease.error().message;
    EXPECT_EQ(lease->id(), 7U);
    EXPECT_EQ(lease->slots(), 2);
    EXPECT_THAT(server.line(), HasSubstr("\"acquire\""));
  }
  EXPECT_EQ(server.line(), R"({"jsonrpc":"2.0","method":"release","params":{"lease":7}})");
}

TEST(Pool, a_lease_moves) {
  FakeServer server;
  const auto pool = server.connected();
  server.grant(1, 7, 1);
  auto first = pool->acquire({});
  server.grant(3, 8, 1);
  auto second = pool->acquire({});
  ASSERT_TRUE(first && second);
  server.line();
  server.line();
  Lease kept = std::move(*first);
  EXPECT_EQ(first->slots(), 0);  // NOLINT(bugprone-use-after-move)
  kept = std::move(*second);
  EXPECT_THAT(server.line(), HasSubstr("\"lease\":7"));
  EXPECT_EQ(kept.id(), 8U);
  EXPECT_EQ(kept.detach(), 8U);
  EXPECT_EQ(kept.slots(), 0);
}

TEST(Pool, a_lease_is_harmless_after_its_pool) {
  FakeServer server;
  auto pool = server.connected();
  server.grant(1, 7, 1);
  auto lease = pool->acquire({});
  ASSERT_TRUE(lease);
  server.line();
  pool.reset();
  EXPECT_EQ(server.line(), "") << "the session has ended";
  EXPECT_EQ(lease->slots(), 0);
  EXPECT_EQ(lease->release(), 0);
  EXPECT_EQ(lease->resize(1).error().code, 0);
  EXPECT_EQ(lease->hand_to(1).error().code, 0);
}

TEST(Pool, calls_wait_for_their_answers) {
  FakeServer server;
  const auto pool = server.connected();
  server.say(R"({"jsonrpc":"2.0","id":1,"result":{"slots":4,"free":3}})");
  const auto status = pool->status();
  ASSERT_TRUE(status);
  EXPECT_EQ(*status, R"({"slots":4,"free":3})");
  server.say(R"({"jsonrpc":"2.0","id":2,"error":{"code":-32602,"message":"slots is wrong"}})");
  EXPECT_EQ(pool->call("set", R"({"slots":0})").error().code, -32602);
  EXPECT_THAT(server.line(), HasSubstr("\"status\""));
  EXPECT_EQ(server.line(), R"({"jsonrpc":"2.0","id":2,"method":"set","params":{"slots":0}})");
}

TEST(Pool, serves_an_event_loop) {
  FakeServer server;
  const auto pool = server.connected();
  const Ticket ticket = pool->begin(slots(1));
  EXPECT_FALSE(pool->take(ticket));
  EXPECT_EQ(pool->events(), POLLIN);
  EXPECT_EQ(pool->timeout_ms(), -1);
  EXPECT_EQ(fcntl(pool->fd(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  server.grant(static_cast<int>(ticket), 7, 1);
  pollfd ready{.fd = pool->fd(), .events = pool->events(), .revents = 0};
  ASSERT_EQ(poll(&ready, 1, -1), 1);
  pool->process();
  const auto taken = pool->take(ticket);
  ASSERT_TRUE(taken && *taken);
  EXPECT_EQ((*taken)->id(), 7U);
}

// It is written to after it has gone, too: no SIGPIPE may come of that.
TEST(Pool, resumes_when_the_connection_is_lost) {
  FakeServer server;
  const auto pool = server.connected();
  server.grant(1, 7, 3);
  auto lease = pool->acquire(slots(3));
  ASSERT_TRUE(lease);
  const Ticket waits = pool->begin(slots(2));
  server.hang_up();
  EXPECT_EQ(lease->release_some(1), 2);
  while (pool->connected()) pool->wait(std::nullopt);
  EXPECT_EQ(lease->resize(1).error().code, 0);
  while (!server.somebody_knocks()) pool->wait(std::nullopt);
  server.accept_client();
  EXPECT_THAT(server.line(), HasSubstr(R"("resume":[{"lease":7,"slots":2}])"));
  server.say(R"({"jsonrpc":"2.0","id":0,"result":{"session":4,"slots":4,"resumed":[9]}})");
  while (!pool->connected()) pool->wait(std::nullopt);
  EXPECT_EQ(lease->id(), 9U);
  EXPECT_EQ(lease->slots(), 2);
  EXPECT_THAT(server.line(), HasSubstr("\"acquire\""));
  server.grant(static_cast<int>(waits), 10, 2);
  std::optional<Result<Lease>> taken;
  while (!(taken = pool->take(waits))) pool->wait(std::nullopt);
  ASSERT_TRUE(*taken);
  EXPECT_EQ((*taken)->id(), 10U);
}

TEST(Pool, a_fork_can_do_nothing_with_it) {
  FakeServer server;
  auto pool = server.connected();
  server.grant(1, 7, 1);
  auto lease = pool->acquire({});
  ASSERT_TRUE(lease);
  server.line();
  const pid_t child = fork();
  if (child == 0) {
    bool good = pool->acquire({}).error().code == 0 && pool->status().error().code == 0 &&
                pool->fd() == -1 && pool->timeout_ms() == -1 && !pool->connected() &&
                lease->resize(2).error().code == 0;
    const auto taken = pool->take(pool->begin({}));
    good = good && taken && taken->error().code == 0;
    pool->process();
    pool->wait(std::nullopt);
    lease->release();
    lease = Error{};
    pool.reset();
    _exit(good ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(lease->release(), 0);
  EXPECT_THAT(server.line(), HasSubstr("\"release\"")) << "the child has said nothing before";
}

TEST(Pool, tries_the_addresses_in_turn) {
  FakeServer server;
  Options options = server.options();
  options.address = "unix:" + server.path() + ".gone;tcp:127.0.0.1:1;" + *options.address;
  EXPECT_TRUE(server.connected(options)->connected());
}

Reason reason_with(const std::string& address, const std::string& cookie) {
  Options options;
  options.address = address;
  options.cookie = cookie;
  options.makeflags = "";
  const auto pool = Pool::connect(options);
  EXPECT_EQ(pool->mode(), Mode::single);
  EXPECT_EQ(pool->jobserver_reason(), JobserverReason::no_makeflags);
  EXPECT_EQ(pool->slots(), 1);
  return pool->reason();
}

TEST(Pool, tells_why_there_is_no_arbiter) {
  const std::string cookie(64, 'a');
  EXPECT_EQ(reason_with("", cookie), Reason::no_address);
  EXPECT_EQ(reason_with("relative", cookie), Reason::bad_address);
  EXPECT_EQ(reason_with("unix:/", ""), Reason::no_cookie);
  EXPECT_EQ(reason_with("unix:/", "abc"), Reason::bad_cookie);
  EXPECT_EQ(reason_with("unix:/there/is/nothing", cookie), Reason::unreachable);
}

TEST(Pool, goes_on_with_one_slot) {
  Options options;
  options.address = "";
  options.makeflags = "";
  const auto pool = Pool::connect(options);
  auto lease = pool->try_acquire({});
  ASSERT_TRUE(lease);
  EXPECT_EQ(lease->id(), 0U);
  EXPECT_EQ(lease->slots(), 1);
  EXPECT_EQ(pool->try_acquire({}).error().code, -32003);
  EXPECT_EQ(pool->acquire({}).error().code, -32003) << "or it would wait for itself";
  EXPECT_EQ(pool->acquire(slots(2)).error().code, -32005);
  const Ticket waits = pool->begin({});
  EXPECT_FALSE(pool->take(waits));
  lease->release();
  EXPECT_TRUE(pool->take(waits));
}

TEST(Pool, falls_back_to_nothing_where_only_the_protocol_will_do) {
  Options options;
  options.address = "";
  options.makeflags = " -j3 --jobserver-auth=3,4";
  options.protocol_only = true;
  const auto pool = Pool::connect(options);
  EXPECT_EQ(pool->reason(), Reason::no_address);
  const auto lease = pool->acquire({});
  ASSERT_FALSE(lease);
  EXPECT_EQ(lease.error().code, 0);
  EXPECT_THAT(lease.error().message, HasSubstr("no-address"));
}

}  // namespace
}  // namespace tokenpool::client
