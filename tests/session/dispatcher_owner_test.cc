// Whose a lease is, and when it ends; tokenpool-protocol(7), LEASES.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "session/dispatcher_desk.h"

namespace tokenpool::session {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

struct DispatcherOwnerTest : testing::Test {
  DispatcherOwnerTest() { desk.alive.insert(kJob); }
  DispatcherDesk desk{4};
  SessionId make = desk.join(kMake);
  SessionId ninja = desk.join(kNinja, {}, "ninja");

  Answer take_for(ProcessId who, int slots = 1) {
    return desk.call(make, "acquire",
                     R"({"min":)" + std::to_string(slots) + ',' + named(who) + "}");
  }
};

TEST_F(DispatcherOwnerTest, ALeaseEndsWithItsConnection) {
  const LeaseId lease = desk.take(make, R"({"min":3,"target":"app"})");
  const auto waits = desk.ask(ninja, "acquire", R"({"min":4})");
  desk.hang_up(make);
  EXPECT_EQ(desk.reply(ninja, waits)->slots, 4);
  const wire::StatusResult status = desk.status(ninja);
  EXPECT_EQ(status.counters.recovered, 1U);
  EXPECT_EQ(status.sessions, 1U);
  EXPECT_THAT(status.recoveries,
              ElementsAre(wire::RecoveryRow{lease, 3, "make", kMake.pid, "app", "session", 0}));
}

TEST_F(DispatcherOwnerTest, RequestsEndWithTheirConnection) {
  const LeaseId lease = desk.take(ninja, R"({"min":4})");
  desk.ask(make, "acquire", R"({"min":4})");
  desk.hang_up(make);
  EXPECT_EQ(desk.leases.waiting_count(), 0U);
  desk.notify(ninja, "release", of(lease));
  EXPECT_EQ(desk.leases.free(), 4);
}

TEST_F(DispatcherOwnerTest, ALeaseEndsWithTheProcessAlthoughAChildKeepsTheSocketOpen) {
  desk.take(make, R"({"min":4})");
  const auto waits = desk.ask(ninja, "acquire", R"({"min":2})");
  desk.end(kMake);
  EXPECT_EQ(desk.reply(ninja, waits)->slots, 2);
  EXPECT_FALSE(desk.is_open(make));
  EXPECT_EQ(desk.status(ninja).counters.recovered, 1U);
  EXPECT_EQ(desk.dispatcher.session_of(kMake), 0U);
}

TEST_F(DispatcherOwnerTest, AProcessEndsWithAllItsSessions) {
  const SessionId second = desk.join(kMake);
  desk.take(make, R"({"min":2})");
  desk.take(second, R"({"min":2})");
  desk.end(kMake);
  EXPECT_EQ(desk.leases.free(), 4);
  EXPECT_FALSE(desk.is_open(make));
  EXPECT_FALSE(desk.is_open(second));
}

TEST_F(DispatcherOwnerTest, WhatOneSessionOfADeadProcessLeavesIsNotForAnotherOfIt) {
  // Whichever of them ends first.
  const SessionId second = desk.join(kMake);
  for (const SessionId session : {make, second}) desk.take(session, R"({"min":2})");
  for (const SessionId session : {make, second}) desk.ask(session, "acquire", R"({"min":2})");
  const auto waits = desk.ask(ninja, "acquire", R"({"min":4})");
  desk.end(kMake);
  EXPECT_EQ(desk.reply(ninja, waits)->slots, 4);
  EXPECT_EQ(desk.leases.leases().size(), 1U);
}

TEST_F(DispatcherOwnerTest, ALeaseWithAPidOutlivesItsSession) {
  const Answer answer = take_for(kJob, 3);
  EXPECT_EQ(answer.watched, true);
  EXPECT_EQ(desk.call(make, "report", of(answer.lease, R"(,"peak_memory":1)")).body, "{}");
  desk.hang_up(make);
  ASSERT_NE(desk.leases.find(answer.lease), nullptr);
  const wire::StatusResult status = desk.status(ninja);
  ASSERT_THAT(status.leases, SizeIs(1));
  EXPECT_EQ(status.leases[0].pid, kJob.pid);
  EXPECT_THAT(status.recoveries, IsEmpty());
}

TEST_F(DispatcherOwnerTest, ALeaseWhoseSessionIsGoneIsRecoveredWithItsProcess) {
  const Answer answer = take_for(kJob, 3);
  desk.call(make, "report", of(answer.lease));
  desk.hang_up(make);
  const auto waits = desk.ask(ninja, "acquire", R"({"min":4})");
  desk.end(kJob);
  EXPECT_EQ(desk.reply(ninja, waits)->slots, 4);
  const wire::StatusResult status = desk.status(ninja);
  EXPECT_EQ(status.counters.recovered, 1U);
  ASSERT_THAT(status.recoveries, SizeIs(1));
  EXPECT_EQ(status.recoveries[0].cause, "process");
  EXPECT_EQ(status.recoveries[0].pid, kJob.pid);
}

TEST_F(DispatcherOwnerTest, ALeaseThatEndsWithItsProcessWhileTheSessionLivesCountsAsReleased) {
  const LeaseId lease = take_for(kJob, 4).lease;
  const auto waits = desk.ask(ninja, "acquire", R"({"min":4})");
  desk.end(kJob);
  EXPECT_EQ(desk.reply(ninja, waits)->slots, 4) << "the slots are free at once";
  EXPECT_TRUE(desk.is_open(make));
  const wire::StatusResult status = desk.status(ninja);
  EXPECT_EQ(status.counters.released, 1U);
  EXPECT_EQ(status.counters.recovered, 0U);
  EXPECT_EQ(desk.call(make, "report", of(lease, R"(,"exit":0)")).body, "{}");
  EXPECT_EQ(desk.call(make, "release", of(lease)).slots, 0) << "once more";
  EXPECT_EQ(desk.call(make, "release", of(lease)).code, ErrorCode::no_such_lease);
  EXPECT_EQ(desk.status(ninja).counters.released, 1U);
}

TEST_F(DispatcherOwnerTest, AReportHandsALeaseToAProcess) {
  const LeaseId lease = desk.take(make, R"({"min":2})");
  EXPECT_EQ(desk.call(make, "report", of(lease, "," + named(kJob))).watched, true);
  desk.hang_up(make);
  EXPECT_EQ(desk.leases.free(), 2);
  desk.end(kJob);
  EXPECT_EQ(desk.leases.free(), 4);
}

TEST_F(DispatcherOwnerTest, AProcessThatTheClientHasNotStartedOwnsNothing) {
  desk.strangers.insert(kJob);
  EXPECT_EQ(take_for(kJob).watched, false);
  const LeaseId lease = desk.take(make, R"({"min":3})");
  EXPECT_EQ(desk.call(make, "report", of(lease, "," + named(kJob))).watched, false);
  desk.hang_up(make);
  EXPECT_EQ(desk.leases.free(), 4) << "it would be that one's for as long as it lives";
}

TEST_F(DispatcherOwnerTest, AnotherProcessWithThatNumberOwnsNothing) {
  const ProcessId later{kJob.pid, kJob.start + 1};
  const Answer answer = take_for(later);
  EXPECT_EQ(answer.watched, false);
  EXPECT_EQ(desk.call(make, "report", of(answer.lease, "," + named(later))).watched, false);
  desk.end(kJob);
  EXPECT_EQ(desk.leases.free(), 3) << "the lease stays the session's";
  desk.hang_up(make);
  EXPECT_EQ(desk.leases.free(), 4);
}

TEST_F(DispatcherOwnerTest, AProcessThatCannotBeSeenOwnsNothing) {
  const SessionId far = desk.connect(Peer{});
  desk.call(far, "hello", hello({4711, 0}));
  EXPECT_EQ(desk.call(far, "acquire", R"({"pid":30})").watched, false) << "TCP, and no start";
  EXPECT_EQ(desk.call(far, "acquire", R"({"pid":4711})").watched, false);
  EXPECT_EQ(desk.call(far, "acquire", "{" + named(kJob) + "}").watched, true);
  desk.hang_up(far);
  EXPECT_EQ(desk.leases.free(), 3);
}

TEST_F(DispatcherOwnerTest, AClientMayNameItself) {
  // In its own view it may have another number than the kernel tells here.
  const ProcessId inside = process(2);
  const SessionId session = desk.connect(process(40));
  desk.call(session, "hello", hello(inside));
  const Answer answer = desk.call(session, "acquire", "{" + named(inside) + "}");
  EXPECT_EQ(answer.watched, true);
  EXPECT_EQ(desk.leases.find(answer.lease)->owner, process(40));
}

TEST_F(DispatcherOwnerTest, WhoEndsWhileItsLeaseIsWaitedForWillNotOwnIt) {
  const LeaseId lease = desk.take(ninja, R"({"min":4})");
  const auto waits = desk.ask(make, "acquire", R"({"min":2,)" + named(kJob) + "}");
  desk.end(kJob);
  desk.notify(ninja, "release", of(lease));
  const auto answer = desk.reply(make, waits);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->slots, 2);
  EXPECT_EQ(answer->watched, false) << "the lease is the session's";
  desk.hang_up(make);
  EXPECT_EQ(desk.leases.free(), 4);
}

// Nobody knows of that lease: its client was never told, so it can neither release nor declare it.
TEST_F(DispatcherOwnerTest, ALeaseThatItsClientWasNeverToldOfIsNotHeldForEver) {
  const LeaseId held = desk.take(ninja, R"({"min":4})");
  desk.ask(make, "acquire", R"({"min":2,)" + named(kMake) + "}");
  desk.deaf.insert(make);
  desk.notify(ninja, "release", of(held));
  ASSERT_EQ(desk.leases.free(), 2) << "granted, and the answer waits to be read";
  desk.hang_up(make);
  const auto waits = desk.ask(ninja, "acquire", R"({"min":4})");
  desk.pass(std::chrono::hours(1));
  const auto answer = desk.reply(ninja, waits);
  ASSERT_TRUE(answer) << "its process lives on, and so would the lease";
  EXPECT_EQ(answer->slots, 4);
}

TEST_F(DispatcherOwnerTest, ALeaseIsPaidForByTheOneThatItsClientRunsUnder) {
  const LeaseId outer = desk.take(make, R"({"min":2})");
  const SessionId inner = desk.join(process(50), R"(,"lease":)" + std::to_string(outer));
  const Answer answer = desk.call(inner, "acquire", R"({"min":1,"max":3})");
  EXPECT_EQ(answer.paid, 2);
  EXPECT_EQ(desk.leases.free(), 4 - 2 - (*answer.slots - 2));
  EXPECT_EQ(desk.status(make).leases.at(1).paid, 2);
  EXPECT_EQ(desk.call(inner, "release", of(answer.lease)).slots, 0);
  EXPECT_EQ(desk.leases.free(), 2);
}

TEST_F(DispatcherOwnerTest, ALeaseThatIsGoneCountsAsNone) {
  const SessionId inner = desk.join(process(50), R"(,"lease":4242)");
  EXPECT_EQ(desk.call(inner, "acquire").paid, 0);
}

TEST_F(DispatcherOwnerTest, TheLastSixteenRecoveriesAreKept) {
  for (int i = 0; i < 20; ++i) {
    const SessionId session = desk.join(process(100 + i));
    desk.take(session);
    desk.hang_up(session);
  }
  const wire::StatusResult status = desk.status(ninja);
  EXPECT_EQ(status.counters.recovered, 20U);
  ASSERT_THAT(status.recoveries, SizeIs(wire::kMaxRecoveryRows));
  EXPECT_EQ(status.recoveries.front().pid, 104);
  EXPECT_EQ(status.recoveries.back().pid, 119);
}

TEST(DispatcherOwner, ALeasePaysOnlyForThoseThatRunUnderIt) {
  DispatcherDesk desk{4};
  const SessionId make = desk.join(kMake);
  const LeaseId lease = desk.take(make, R"({"min":2})");
  const std::string under = R"(,"lease":)" + std::to_string(lease);
  const auto paid = [&] {
    const SessionId session = desk.connect(kNinja);
    desk.call(session, "hello", hello(kNinja, under));
    const LeaseId own = desk.take(session);
    const int covered = desk.leases.find(own)->paid;
    desk.call(session, "release", of(own));
    return covered;
  };
  EXPECT_EQ(paid(), 1) << "its child";
  desk.strangers.insert(kNinja);
  EXPECT_EQ(paid(), 0);
  desk.started_under.insert({kNinja, lease});
  EXPECT_EQ(paid(), 1) << "what left its parents has it in its environment";
}

TEST(DispatcherOwner, AnOperatorEndsALease) {
  DispatcherDesk desk{4};
  const SessionId make = desk.join(kMake);
  const SessionId ninja = desk.join(kNinja);
  const LeaseId lease = desk.take(make, R"({"min":3,"target":"app"})");
  const auto waits = desk.ask(ninja, "acquire", R"({"min":4})");
  const std::string end = R"({"slots":4,"lease":)";
  EXPECT_EQ(desk.call(ninja, "set", end + std::to_string(lease + 1) + "}").code,
            ErrorCode::no_such_lease);
  EXPECT_FALSE(desk.reply(ninja, waits));
  EXPECT_EQ(desk.call(ninja, "set", end + std::to_string(lease) + "}").slots, 4);
  EXPECT_TRUE(desk.reply(ninja, waits));
  const wire::StatusResult status = desk.status(ninja);
  ASSERT_EQ(status.recoveries.size(), 1U);
  EXPECT_EQ(status.recoveries[0].cause, "operator");
  EXPECT_EQ(status.recoveries[0].target, "app");
  EXPECT_EQ(status.recoveries[0].slots, 3);
  EXPECT_EQ(status.counters.recovered, 1U);
  EXPECT_EQ(desk.call(make, "release", of(lease)).slots, 0) << "its client does not know of it";
  EXPECT_EQ(desk.call(make, "release", of(lease)).code, ErrorCode::no_such_lease);
}

}  // namespace
}  // namespace tokenpool::session
