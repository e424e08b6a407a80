// Nobody can make the arbiter grow: tokenpool-protocol(7), SECURITY, and core/limits.h.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/limits.h"
#include "session/dispatcher_desk.h"
#include "session/limits.h"
#include "wire/limits.h"

namespace tokenpool::session {
namespace {

using testing::Each;
using testing::SizeIs;

std::string declared(LeaseId first, std::size_t count) {
  std::string list = R"(,"resume":[)";
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0) list += ',';
    list += R"({"lease":)" + std::to_string(first + i) + R"(,"slots":1})";
  }
  return list + "]";
}

TEST(DispatcherLimitsTest, OfTooManyStrangersTheOldestGoes) {
  DispatcherDesk desk(4);
  const SessionId make = desk.join(kMake);
  std::vector<SessionId> strangers;
  for (std::size_t i = 0; i < kMaxStrangers; ++i) strangers.push_back(desk.connect(kNinja));
  EXPECT_EQ(desk.connected.size(), kMaxStrangers + 1);
  desk.call(strangers[0], "hello", hello(kNinja));
  EXPECT_NE(desk.connect(kNinja), 0U) << "one has said hello";
  EXPECT_TRUE(desk.is_open(strangers[1]));

  EXPECT_NE(desk.connect(kNinja), 0U);
  EXPECT_TRUE(desk.is_open(strangers[0])) << "it is a member";
  EXPECT_FALSE(desk.is_open(strangers[1])) << "the oldest stranger";
  EXPECT_EQ(desk.call(make, "acquire").slots, 1);

  desk.hang_up(strangers[2]);
  EXPECT_NE(desk.connect(kNinja), 0U) << "one has hung up";
  EXPECT_TRUE(desk.is_open(strangers[3]));
  desk.call(strangers[3], "status");
  EXPECT_NE(desk.connect(kNinja), 0U) << "one was turned away";
  EXPECT_TRUE(desk.is_open(strangers[4]));
  desk.pass(kHelloPatience);
  EXPECT_EQ(desk.connected.size(), 2U) << "the patience with all is over";
}

TEST(DispatcherLimitsTest, StrangersOfOtherMachinesKeepNobodyOfThisOneOut) {
  DispatcherDesk desk(4);
  const SessionId local = desk.connect(kMake);
  const SessionId first = desk.connect(Peer{});
  for (std::size_t i = 0; i < 2 * kMaxStrangers; ++i) ASSERT_NE(desk.connect(Peer{}), 0U);
  EXPECT_FALSE(desk.is_open(first));
  EXPECT_TRUE(desk.is_open(local));
  EXPECT_EQ(desk.connected.size(), kMaxStrangers + 1);
}

TEST(DispatcherLimitsTest, WhoHasSaidAWrongCookieIsAStrangerStill) {
  DispatcherDesk desk(4);
  for (std::size_t i = 0; i < 2 * kMaxStrangers; ++i) {
    const SessionId one = desk.connect(Peer{});
    desk.ask(one, "hello", hello(kNinja, {}, "make", std::string(64, '0')));
  }
  EXPECT_EQ(desk.connected.size(), kMaxStrangers);
  EXPECT_EQ(desk.call(desk.join(kMake), "acquire").slots, 1);
}

TEST(DispatcherLimitsTest, WhereNoDescriptorIsLeftAStrangerOfAnotherMachineGoesFirst) {
  DispatcherDesk desk(4);
  const SessionId member = desk.join(kMake);
  const SessionId local = desk.connect(kNinja);
  const SessionId remote = desk.connect(Peer{});
  EXPECT_TRUE(desk.drop_stranger());
  EXPECT_FALSE(desk.is_open(remote));
  EXPECT_TRUE(desk.drop_stranger());
  EXPECT_FALSE(desk.is_open(local));
  EXPECT_FALSE(desk.drop_stranger());
  EXPECT_TRUE(desk.is_open(member));
}

TEST(DispatcherLimitsTest, SessionsAreLimited) {
  DispatcherDesk desk(4);
  SessionId last = 0;
  for (std::size_t i = 0; i < kMaxSessions; ++i) {
    last = desk.join(process(1000 + static_cast<int>(i / 64)));
  }
  EXPECT_EQ(desk.connect(kNinja), 0U);
  ASSERT_TRUE(desk.turned_away);
  EXPECT_EQ(desk.turned_away->code, ErrorCode::too_many);
  desk.hang_up(last);
  const SessionId stranger = desk.connect(kNinja);
  EXPECT_NE(stranger, 0U);
  EXPECT_NE(desk.connect(kNinja), 0U) << "in place of the stranger";
  EXPECT_FALSE(desk.is_open(stranger));
  desk.end(process(1000));
  EXPECT_EQ(desk.connected.size(), kMaxSessions - 64) << "a process ends with all of its own";
}

TEST(DispatcherLimitsTest, RequestsOfASessionAreLimited) {
  DispatcherDesk desk(4);
  const SessionId make = desk.join(kMake);
  const LeaseId lease = desk.take(make, R"({"min":4})");
  const auto first = desk.last_id + 1;
  for (std::size_t i = 0; i < kMaxRequestsOfSession; ++i) desk.ask(make, "acquire");
  EXPECT_TRUE(desk.is_silent(make));
  EXPECT_EQ(desk.call(make, "acquire").code, ErrorCode::too_many);
  EXPECT_EQ(desk.call(desk.join(kNinja), "acquire", R"({"timeout_ms":0})").code,
            ErrorCode::unavailable)
      << "the limit is of one session";
  desk.notify(make, "release", of(lease));
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(desk.reply(make, first + i)) << i;
  desk.ask(make, "acquire");
  EXPECT_TRUE(desk.is_silent(make)) << "four are answered, so there is room again";
  EXPECT_EQ(desk.leases.waiting_count(), kMaxRequestsOfSession - 3);
  desk.hang_up(make);
  EXPECT_EQ(desk.leases.waiting_count(), 0U);
}

TEST(DispatcherLimitsTest, LeasesOfASessionAreLimited) {
  DispatcherDesk desk(core::kMaxSlots);
  const core::Payer parent{core::Payer::Kind::process, kNinja, 0, {}};
  desk.covers[parent] = core::kMaxSlots;
  desk.standings[kMake] = {kMake, parent};
  const SessionId make = desk.join(kMake);
  LeaseId lease = 0;
  for (std::size_t i = 0; i < kMaxLeasesOfSession; ++i) lease = desk.take(make);
  EXPECT_EQ(desk.leases.free(), 0) << "half of them are paid for";
  EXPECT_EQ(desk.call(make, "acquire").code, ErrorCode::too_many);
  desk.notify(make, "release", of(lease));
  EXPECT_EQ(desk.call(make, "acquire").slots, 1);
}

TEST(DispatcherLimitsTest, LeasesAreLimitedInAll) {
  DispatcherDesk desk(4);
  desk.leases.set_grace(desk.now);
  for (LeaseId first = 1000; first < 1000 + kMaxLeases; first += wire::kMaxResumed) {
    desk.join(kMake, declared(first, wire::kMaxResumed));
  }
  ASSERT_EQ(desk.leases.leases().size(), kMaxLeases);
  const SessionId ninja = desk.connect(kNinja);
  const auto resumed = desk.call(ninja, "hello", hello(kNinja, declared(10, 3))).resumed;
  EXPECT_THAT(resumed, SizeIs(3));
  EXPECT_THAT(resumed, Each(0U)) << "there is no room for them";
  EXPECT_EQ(desk.call(ninja, "acquire").code, ErrorCode::too_many);
  const SessionId again = desk.connect(kMake);
  const auto known = desk.call(again, "hello", hello(kMake, declared(1000, 1))).resumed;
  EXPECT_THAT(known, Each(1000U)) << "one that is known takes no room";
  desk.hang_up(again);
  EXPECT_EQ(desk.leases.leases().size(), kMaxLeases - 1);
}

TEST(DispatcherLimitsTest, AtMost64TypesHaveALimit) {
  DispatcherDesk desk(4);
  const SessionId make = desk.join(kMake);
  for (std::size_t i = 0; i < core::kMaxLimits; ++i) {
    const std::string limits = R"({"limits":{"t)" + std::to_string(i) + R"(":1}})";
    ASSERT_EQ(desk.call(make, "set", limits).kind, Answer::Kind::result);
  }
  EXPECT_EQ(desk.call(make, "set", R"({"limits":{"one-more":1}})").code, ErrorCode::too_many);
  EXPECT_EQ(desk.call(make, "set", R"({"limits":{"t0":2}})").kind, Answer::Kind::result);
  desk.call(make, "set", R"({"limits":{"t0":null}})");
  EXPECT_EQ(desk.call(make, "set", R"({"limits":{"one-more":1}})").kind, Answer::Kind::result);
  EXPECT_EQ(desk.status(make).limits.size(), core::kMaxLimits);
}

TEST(DispatcherLimitsTest, WhoNeverReadsIsClosed) {
  DispatcherDesk desk(4);
  const SessionId make = desk.join(kMake);
  desk.take(make, R"({"min":4})");
  desk.deaf.insert(make);
  const std::string asks = DispatcherDesk::line("1", "status", "{}") + "\n";
  std::size_t most = 0;
  while (desk.is_open(make)) {
    most = std::max(most, desk.dispatcher.outbox(make).size());
    ASSERT_LE(most, kMaxUnread);
    desk.feed(make, asks);
  }
  EXPECT_GT(most, kMaxUnread - wire::kMaxLine);
  EXPECT_EQ(desk.leases.free(), 4) << "its leases are free";
}

TEST(DispatcherLimitsTest, WhoReadsSlowlyIsNotClosed) {
  DispatcherDesk desk(4);
  const SessionId make = desk.join(kMake);
  desk.deaf.insert(make);
  const std::string asks = DispatcherDesk::line("1", "status", "{}") + "\n";
  std::size_t sent = 0;
  while (sent < 4 * kMaxUnread) {
    desk.feed(make, asks);
    const std::size_t unread = desk.dispatcher.outbox(make).size();
    if (unread < kMaxUnread / 2) continue;
    sent += unread;
    desk.dispatcher.sent(make, unread);
  }
  EXPECT_TRUE(desk.is_open(make));
}

}  // namespace
}  // namespace tokenpool::session
