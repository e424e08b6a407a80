// The calls of a client that was let in; tokenpool-protocol(7), CALLS. Whose leases end when:
// dispatcher_owner_test.cc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/limits.h"
#include "session/dispatcher_desk.h"
#include "session/limits.h"

namespace tokenpool::session {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

struct DispatcherCallsTest : testing::Test {
  DispatcherDesk desk{4};
  SessionId make = desk.join(kMake);

  /// The body of the only message that this session was sent.
  std::string event_of(SessionId session) {
    const auto message = desk.heard(session);
    if (!message || message->method != "event" || !desk.is_silent(session)) return "no event";
    return message->body;
  }
};

TEST_F(DispatcherCallsTest, AnAcquireGetsWhatIsFreeBetweenMinAndMax) {
  const Answer one = desk.call(make, "acquire");
  EXPECT_EQ(one.slots, 1) << "min is 1 and max is min";
  EXPECT_EQ(one.lease, 100U);
  EXPECT_EQ(one.paid, 0);
  EXPECT_FALSE(one.watched) << "no pid was given";
  EXPECT_EQ(desk.call(make, "acquire", R"({"min":1,"max":2})").slots, 2);
  EXPECT_EQ(desk.call(make, "acquire", R"({"min":1,"max":512})").slots, 1);
  EXPECT_EQ(desk.leases.free(), 0);
}

TEST_F(DispatcherCallsTest, AnAcquireWaitsAsLongAsItTakes) {
  const LeaseId lease = desk.take(make, R"({"min":3})");
  const SessionId ninja = desk.join(kNinja);
  const auto waits = desk.ask(ninja, "acquire", R"({"min":2})");
  desk.pass(std::chrono::hours(24));
  EXPECT_TRUE(desk.is_silent(ninja));
  desk.notify(make, "release", of(lease));
  EXPECT_EQ(desk.reply(ninja, waits)->slots, 2);
}

TEST_F(DispatcherCallsTest, AnAcquireWaitsForItsTime) {
  desk.take(make, R"({"min":4})");
  EXPECT_EQ(desk.call(make, "acquire", R"({"timeout_ms":0})").code, ErrorCode::unavailable);
  const auto waits = desk.ask(make, "acquire", R"({"timeout_ms":250})");
  desk.pass(milliseconds(250) - nanoseconds(1));
  EXPECT_TRUE(desk.is_silent(make));
  desk.pass(nanoseconds(1));
  EXPECT_EQ(desk.reply(make, waits)->code, ErrorCode::unavailable);
  EXPECT_EQ(desk.status(make).counters.timed_out, 2U);
  EXPECT_EQ(desk.leases.waiting_count(), 0U);
}

TEST_F(DispatcherCallsTest, WhatIsFreeIsHadWithoutWaiting) {
  EXPECT_EQ(desk.call(make, "acquire", R"({"min":4,"timeout_ms":0})").slots, 4);
}

TEST_F(DispatcherCallsTest, MoreThanThereWillEverBeIsImpossible) {
  const Answer wide = desk.call(make, "acquire", R"({"min":5,"max":8})");
  EXPECT_EQ(wide.code, ErrorCode::impossible);
  EXPECT_EQ(wide.message, "5 slots asked for, the pool has 4 at most");
  desk.call(make, "set", R"({"limits":{"link":0}})");
  const Answer link = desk.call(make, "acquire", R"({"type":"link"})");
  EXPECT_EQ(link.code, ErrorCode::impossible);
  EXPECT_EQ(link.message, "jobs of type link are not allowed: their limit is 0");
  EXPECT_EQ(desk.call(make, "acquire", R"({"type":"cc"})").slots, 1);
}

TEST_F(DispatcherCallsTest, HigherPriorityComesFirstThenWhoAskedFirst) {
  const LeaseId lease = desk.take(make, R"({"min":4})");
  const auto low = desk.ask(make, "acquire", R"({"min":4,"priority":-1})");
  const auto first = desk.ask(make, "acquire", R"({"min":4})");
  const auto second = desk.ask(make, "acquire", R"({"min":4})");
  const auto high = desk.ask(make, "acquire", R"({"min":4,"priority":100})");
  LeaseId held = lease;
  for (const auto next : {high, first, second, low}) {
    desk.notify(make, "release", of(held));
    const auto answer = desk.reply(make, next);
    ASSERT_TRUE(answer) << next;
    EXPECT_TRUE(desk.is_silent(make)) << next;
    held = answer->lease;
  }
}

TEST_F(DispatcherCallsTest, AReleaseGivesBackSomeOrAll) {
  const LeaseId lease = desk.take(make, R"({"min":4})");
  EXPECT_EQ(desk.call(make, "release", of(lease, R"(,"slots":1)")).slots, 3);
  EXPECT_EQ(desk.leases.free(), 1);
  EXPECT_EQ(desk.call(make, "release", of(lease, R"(,"slots":8)")).slots, 0);
  EXPECT_EQ(desk.leases.free(), 4);
  EXPECT_EQ(desk.call(make, "release", of(lease)).code, ErrorCode::no_such_lease);
  EXPECT_EQ(desk.status(make).counters.released, 1U);
}

TEST_F(DispatcherCallsTest, ALeaseIsOneSessionsOwn) {
  const LeaseId lease = desk.take(make, R"({"min":2})");
  const SessionId ninja = desk.join(kNinja);
  EXPECT_EQ(desk.call(ninja, "release", of(lease)).code, ErrorCode::no_such_lease);
  EXPECT_EQ(desk.call(ninja, "resize", of(lease, R"(,"min":1,"max":1)")).code,
            ErrorCode::no_such_lease);
  EXPECT_EQ(desk.call(ninja, "report", of(lease)).code, ErrorCode::no_such_lease);
  EXPECT_EQ(desk.leases.find(lease)->slots, 2);
}

TEST_F(DispatcherCallsTest, AResizeTakesWhatIsFreeAtOnce) {
  const LeaseId lease = desk.take(make);
  EXPECT_EQ(desk.call(make, "resize", of(lease, R"(,"min":2,"max":3)")).slots, 3);
  EXPECT_EQ(desk.call(make, "resize", of(lease, R"(,"min":4,"max":9)")).slots, 4);
  EXPECT_EQ(desk.call(make, "resize", of(lease, R"(,"min":1,"max":2)")).slots, 2);
  desk.take(make, R"({"min":2})");
  EXPECT_EQ(desk.call(make, "resize", of(lease, R"(,"min":1,"max":4)")).slots, 2);
  EXPECT_EQ(desk.call(make, "resize", of(lease, R"(,"min":3,"max":4)")).code,
            ErrorCode::unavailable);
  EXPECT_EQ(desk.leases.find(lease)->slots, 2) << "the lease is as it was";
}

TEST_F(DispatcherCallsTest, AResizeDoesNotOvertakeWhoWaits) {
  const LeaseId lease = desk.take(make);
  const auto waits = desk.ask(make, "acquire", R"({"min":4})");
  EXPECT_EQ(desk.call(make, "resize", of(lease, R"(,"min":2,"max":4)")).code,
            ErrorCode::unavailable);
  EXPECT_EQ(desk.call(make, "resize", of(lease, R"(,"min":1,"max":1)")).slots, 1);
  desk.notify(make, "release", of(lease));
  EXPECT_EQ(desk.reply(make, waits)->slots, 4);
}

TEST_F(DispatcherCallsTest, WhatAShrunkLeaseLeavesIsGranted) {
  const LeaseId lease = desk.take(make, R"({"min":4})");
  const auto waits = desk.ask(make, "acquire", R"({"min":2})");
  EXPECT_EQ(desk.call(make, "resize", of(lease, R"(,"min":1,"max":2)")).slots, 2);
  EXPECT_EQ(desk.reply(make, waits)->slots, 2);
}

TEST_F(DispatcherCallsTest, AReportWithoutAPidIsAnEmptyObject) {
  const LeaseId lease = desk.take(make);
  const Answer answer =
      desk.call(make, "report", of(lease, R"(,"peak_memory":1,"cpu_seconds":1.5,"exit":255)"));
  EXPECT_EQ(answer.body, "{}");
  EXPECT_EQ(desk.call(make, "report", of(99)).code, ErrorCode::no_such_lease);
}

TEST_F(DispatcherCallsTest, CancelAnswersTheAcquireToo) {
  desk.take(make, R"({"min":4})");
  const auto waits = desk.ask(make, "acquire");
  const Answer cancel = desk.call(make, "cancel", R"({"id":)" + std::to_string(waits) + "}");
  EXPECT_EQ(cancel.cancelled, true);
  EXPECT_EQ(desk.reply(make, waits)->code, ErrorCode::cancelled);
  EXPECT_EQ(desk.leases.waiting_count(), 0U);
  const Answer again = desk.call(make, "cancel", R"({"id":)" + std::to_string(waits) + "}");
  EXPECT_EQ(again.cancelled, false) << "it is answered already";
  EXPECT_TRUE(desk.is_silent(make));
  EXPECT_EQ(desk.status(make).counters.cancelled, 1U);
}

TEST_F(DispatcherCallsTest, CancelIsOfTheSameSessionAndOfTheSameKindOfId) {
  desk.take(make, R"({"min":4})");
  const auto waits = desk.ask(make, "acquire");
  const SessionId ninja = desk.join(kNinja);
  EXPECT_EQ(desk.call(ninja, "cancel", R"({"id":)" + std::to_string(waits) + "}").cancelled, false);
  EXPECT_EQ(desk.call(make, "cancel", R"({"id":")" + std::to_string(waits) + "\"}").cancelled,
            false);
  desk.notify(make, "cancel", R"({"id":)" + std::to_string(waits) + "}");
  EXPECT_EQ(desk.reply(make, waits)->code, ErrorCode::cancelled) << "the acquire has an id";
}

TEST_F(DispatcherCallsTest, CancellingTheFirstInLineLetsTheNextOn) {
  desk.take(make, R"({"min":3})");
  const auto wide = desk.ask(make, "acquire", R"({"min":2})");
  desk.pass(core::kReservationAfter);
  const auto narrow = desk.ask(make, "acquire");
  EXPECT_TRUE(desk.is_silent(make)) << "the slot is reserved";
  desk.notify(make, "cancel", R"({"id":)" + std::to_string(wide) + "}");
  EXPECT_EQ(desk.reply(make, narrow)->slots, 1);
}

TEST_F(DispatcherCallsTest, StatusTellsEverything) {
  desk.call(make, "set", R"({"limits":{"link":2}})");
  const LeaseId lease = desk.take(make, R"({"min":3,"type":"link","target":"app","priority":5})");
  const SessionId ninja = desk.join(kNinja, {}, "ninja");
  desk.pass(seconds(1));
  desk.ask(ninja, "acquire", R"({"min":2,"max":3,"type":"cc","target":"a.o","priority":-2})");
  desk.pass(milliseconds(500));
  const wire::StatusResult status = desk.status(make);
  EXPECT_EQ(status.server, "tokenpool 0.1.0");
  EXPECT_EQ(status.epoch, "epoch-1");
  EXPECT_EQ(status.pid, 77);
  EXPECT_EQ(status.uptime_ms, 1500);
  EXPECT_FALSE(status.paused);
  EXPECT_FALSE(status.draining);
  EXPECT_EQ(status.slots, 4);
  EXPECT_EQ(status.free, 1);
  EXPECT_EQ(status.leased, 3);
  EXPECT_EQ(status.tokens, 0);
  EXPECT_EQ(status.implicit, 0);
  EXPECT_THAT(status.limits, ElementsAre(wire::LimitUse{"link", 2, 1}));
  EXPECT_EQ(status.leases_total, 1U);
  EXPECT_EQ(status.waiting_total, 1U);
  EXPECT_EQ(status.sessions, 2U);
  EXPECT_EQ(status.counters.granted, 1U);
  wire::StatusRow held{lease, make, "make", kMake.pid, 3, 0, 0, 0, "link", "app", 5, 1500};
  EXPECT_THAT(status.leases, ElementsAre(held));
  wire::StatusRow waits{0, ninja, "ninja", kNinja.pid, 0, 0, 2, 3, "cc", "a.o", -2, 500};
  EXPECT_THAT(status.waiting, ElementsAre(waits));
}

TEST_F(DispatcherCallsTest, StatusShowsTheOldestRowsOfMany) {
  DispatcherDesk wide(100);
  const SessionId session = wide.join(kMake);
  for (int i = 0; i < 100; ++i) wide.take(session);
  for (int i = 0; i < 100; ++i) wide.ask(session, "acquire");
  const wire::StatusResult status = wide.status(session);
  EXPECT_EQ(status.leases_total, 100U);
  EXPECT_EQ(status.waiting_total, 100U);
  ASSERT_EQ(status.leases.size(), wire::kMaxStatusRows);
  EXPECT_EQ(status.leases.front().lease, 100U);
  EXPECT_EQ(status.leases.back().lease, 163U);
  EXPECT_EQ(status.waiting.size(), wire::kMaxStatusRows);
}

TEST_F(DispatcherCallsTest, SetChangesTheNumberOfSlots) {
  const LeaseId lease = desk.take(make, R"({"min":3})");
  const auto wide = desk.ask(make, "acquire", R"({"min":3})");
  const auto narrow = desk.ask(make, "acquire", R"({"min":2})");
  const Answer answer = desk.call(make, "set", R"({"slots":2})");
  EXPECT_EQ(answer.slots, 2);
  EXPECT_EQ(desk.reply(make, wide)->code, ErrorCode::impossible) << "it can never be fulfilled";
  EXPECT_EQ(desk.leases.find(lease)->slots, 3) << "leases stay as they are";
  EXPECT_FALSE(desk.reply(make, narrow));
  EXPECT_EQ(desk.call(make, "release", of(lease, R"(,"slots":1)")).slots, 2);
  EXPECT_FALSE(desk.reply(make, narrow)) << "two are out, and two is all there is";
  EXPECT_EQ(desk.call(make, "release", of(lease)).slots, 0);
  EXPECT_EQ(desk.reply(make, narrow)->slots, 2);
  EXPECT_EQ(desk.call(make, "set", R"({"slots":512})").slots, 512);
  EXPECT_EQ(desk.call(make, "acquire", R"({"min":510})").slots, 510);
}

TEST_F(DispatcherCallsTest, SetChangesLimits) {
  Answer answer = desk.call(make, "set", R"({"limits":{"link":1,"lto":2}})");
  EXPECT_THAT(answer.body, HasSubstr(R"("type":"link")"));
  EXPECT_THAT(answer.body, HasSubstr(R"("type":"lto")"));
  desk.take(make, R"({"type":"link"})");
  const auto waits = desk.ask(make, "acquire", R"({"type":"link"})");
  EXPECT_EQ(desk.call(make, "acquire", R"({"type":"cc"})").slots, 1) << "others pass";
  EXPECT_FALSE(desk.reply(make, waits));
  answer = desk.call(make, "set", R"({"limits":{"link":null}})");
  EXPECT_THAT(answer.body, Not(HasSubstr(R"("type":"link")")));
  EXPECT_EQ(desk.reply(make, waits)->slots, 1);
}

TEST_F(DispatcherCallsTest, ALimitOfNothingRefusesWhatWaits) {
  desk.call(make, "set", R"({"limits":{"link":1}})");
  desk.take(make, R"({"type":"link"})");
  const auto waits = desk.ask(make, "acquire", R"({"type":"link"})");
  desk.call(make, "set", R"({"limits":{"link":0}})");
  EXPECT_EQ(desk.reply(make, waits)->code, ErrorCode::impossible);
}

TEST_F(DispatcherCallsTest, WhilePausedNothingNewIsGranted) {
  const LeaseId lease = desk.take(make);
  EXPECT_THAT(desk.call(make, "set", R"({"paused":true})").body, HasSubstr(R"("paused":true)"));
  EXPECT_TRUE(desk.status(make).paused);
  const auto waits = desk.ask(make, "acquire");
  EXPECT_EQ(desk.call(make, "acquire", R"({"timeout_ms":0})").code, ErrorCode::unavailable);
  EXPECT_EQ(desk.call(make, "resize", of(lease, R"(,"min":2,"max":2)")).code,
            ErrorCode::unavailable);
  EXPECT_EQ(desk.call(make, "release", of(lease)).slots, 0);
  EXPECT_FALSE(desk.reply(make, waits));
  const SessionId ninja = desk.join(kNinja);
  EXPECT_THAT(desk.call(ninja, "set", R"({"paused":false})").body, HasSubstr(R"("paused":false)"));
  EXPECT_EQ(desk.reply(make, waits)->slots, 1);
}

TEST_F(DispatcherCallsTest, AnEmptySetTellsHowThingsAre) {
  const Answer answer = desk.call(make, "set");
  EXPECT_EQ(answer.slots, 4);
  EXPECT_THAT(answer.body, HasSubstr(R"("limits":[])"));
  EXPECT_THAT(answer.body, HasSubstr(R"("paused":false)"));
}

TEST_F(DispatcherCallsTest, ASubscriberIsToldWhatHappens) {
  const SessionId watcher = desk.join(kNinja);
  EXPECT_EQ(desk.call(watcher, "subscribe").body, "{}");
  const LeaseId lease = desk.take(make, R"({"min":3,"type":"cc","target":"a.o"})");
  const std::string granted = event_of(watcher);
  for (const std::string& part :
       {std::string(R"("kind":"granted")"), R"("lease":)" + std::to_string(lease),
        R"("session":)" + std::to_string(make), std::string(R"("name":"make")"),
        std::string(R"("target":"a.o")"), std::string(R"("type":"cc")"),
        std::string(R"("slots":3)"), std::string(R"("free":1)")}) {
    EXPECT_THAT(granted, HasSubstr(part));
  }
  const auto waits = desk.ask(make, "acquire", R"({"min":2})");
  EXPECT_THAT(event_of(watcher), HasSubstr(R"("kind":"queued")"));
  desk.notify(make, "cancel", R"({"id":)" + std::to_string(waits) + "}");
  EXPECT_THAT(event_of(watcher), HasSubstr(R"("kind":"cancelled")"));
  desk.call(make, "acquire", R"({"min":2,"timeout_ms":0})");
  EXPECT_THAT(event_of(watcher), HasSubstr(R"("kind":"timed_out")"));
  desk.notify(make, "set", R"({"slots":5})");
  EXPECT_THAT(event_of(watcher), HasSubstr(R"("kind":"set")"));
  desk.notify(make, "release", of(lease, R"(,"slots":1)"));
  EXPECT_THAT(event_of(watcher), HasSubstr(R"("kind":"released")"));
  desk.hang_up(make);
  EXPECT_THAT(event_of(watcher), HasSubstr(R"("kind":"recovered")"));
}

TEST_F(DispatcherCallsTest, WhatIsReleasedIsToldAsItWas) {
  const SessionId watcher = desk.join(kNinja);
  const LeaseId lease = desk.take(make, R"({"min":3})");
  desk.call(watcher, "subscribe");
  desk.notify(make, "release", of(lease, R"(,"slots":512)"));
  EXPECT_THAT(event_of(watcher), HasSubstr(R"("slots":3)")) << "it had no more";
}

TEST_F(DispatcherCallsTest, EventsThatNobodyTakesAreDroppedAndCounted) {
  const SessionId watcher = desk.join(kNinja);
  desk.call(watcher, "subscribe");
  desk.deaf.insert(watcher);
  for (int i = 0; i < 10000; ++i) desk.notify(make, "release", of(desk.take(make)));
  EXPECT_TRUE(desk.is_open(watcher)) << "events alone close nobody";
  EXPECT_LE(desk.dispatcher.outbox(watcher).size(), kMaxUnread);
  // It reads again: first what was kept for it, then how much it has missed.
  desk.deaf.erase(watcher);
  desk.call(watcher, "set");
  int kept = 0;
  while (const auto message = desk.heard(watcher)) {
    if (message->method == "event") ++kept;
  }
  desk.take(make);
  const std::string next = event_of(watcher);
  EXPECT_THAT(next, HasSubstr(R"("lost":)" + std::to_string(20001 - kept)));
  desk.take(make);
  EXPECT_THAT(event_of(watcher), Not(HasSubstr("lost")));
}

TEST_F(DispatcherCallsTest, ErrorsAreCounted) {
  const LeaseId lease = desk.take(make, R"({"min":4})");
  desk.call(make, "frobnicate");
  desk.call(make, "acquire", R"({"min":0})");
  desk.say(make, "{");
  EXPECT_EQ(desk.status(make).counters.refused, 3U);
  desk.call(make, "release", of(lease + 1));
  desk.call(make, "resize", of(lease, R"(,"min":5,"max":5)"));
  desk.call(make, "acquire", R"({"min":5})");
  desk.call(make, "hello", hello(kMake));
  EXPECT_EQ(desk.status(make).counters.refused, 7U) << "requests answered with an error";
  desk.call(make, "acquire", R"({"timeout_ms":0})");
  EXPECT_EQ(desk.status(make).counters.refused, 7U) << "those that timed out are left out";
}

}  // namespace
}  // namespace tokenpool::session
