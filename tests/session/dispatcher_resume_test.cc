// Arbiters that end and begin, and clients that come back; tokenpool-protocol(7), RESUMING.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/limits.h"
#include "session/dispatcher_desk.h"

namespace tokenpool::session {
namespace {

using std::chrono::nanoseconds;
using testing::ElementsAre;
using testing::IsEmpty;

std::string resume(std::string_view leases) {
  return std::string(R"(,"resume":[)").append(leases) + "]";
}

/// An arbiter that was started anew: what the one before it has granted is about to be declared.
struct DispatcherResumeTest : testing::Test {
  DispatcherResumeTest() {
    desk.alive.insert(kJob);
    desk.leases.set_grace(desk.now + core::kResumeGrace);
  }
  DispatcherDesk desk{4};

  std::pair<SessionId, std::vector<std::uint64_t>> join(ProcessId who, std::string_view leases) {
    const SessionId session = desk.connect(who);
    return {session, desk.call(session, "hello", hello(who, resume(leases))).resumed};
  }
};

TEST_F(DispatcherResumeTest, WhatIsDeclaredIsHeldAgain) {
  const auto [make, resumed] =
      join(kMake, R"({"lease":7,"slots":2,"type":"link","target":"app","priority":3},)"
                  R"({"lease":9,"slots":1})");
  EXPECT_THAT(resumed, ElementsAre(7, 9));
  EXPECT_EQ(desk.leases.free(), 1);
  const wire::StatusResult status = desk.status(make);
  EXPECT_EQ(status.counters.resumed, 2U);
  EXPECT_EQ(status.counters.granted, 0U);
  EXPECT_EQ(status.leases.at(0).type, "link");
  EXPECT_EQ(status.leases.at(0).target, "app");
  EXPECT_EQ(status.leases.at(0).priority, 3);
  EXPECT_EQ(desk.call(make, "release", of(7)).slots, 0);
  EXPECT_EQ(desk.call(make, "resize", of(9, R"(,"min":1,"max":1)")).slots, 1);
}

TEST_F(DispatcherResumeTest, WhatAnotherOneHoldsIsNotTakenOver) {
  const auto [make, first] = join(kMake, R"({"lease":7,"slots":2})");
  EXPECT_THAT(first, ElementsAre(7));
  EXPECT_THAT(join(kNinja, R"({"lease":7,"slots":2})").second, ElementsAre(0));
  EXPECT_EQ(desk.leases.free(), 2);
  const auto [again, second] = join(kMake, R"({"lease":7,"slots":2})");
  EXPECT_THAT(second, ElementsAre(7)) << "the same client on a new connection";
  EXPECT_EQ(desk.call(again, "release", of(7)).slots, 0);
  EXPECT_EQ(desk.leases.free(), 4);
}

TEST_F(DispatcherResumeTest, WhoDeclaresNothingIsToldSo) {
  const SessionId make = desk.connect(kMake);
  const Answer answer = desk.call(make, "hello", hello(kMake, resume("")));
  EXPECT_THAT(answer.resumed, IsEmpty());
  EXPECT_THAT(answer.body, testing::HasSubstr(R"("resumed":[])"));
}

TEST_F(DispatcherResumeTest, NothingIsGrantedUntilTheGraceIsOver) {
  const SessionId make = desk.join(kMake);
  const auto waits = desk.ask(make, "acquire", R"({"min":3})");
  desk.pass(core::kResumeGrace - nanoseconds(1));
  EXPECT_TRUE(desk.is_silent(make));
  join(kNinja, R"({"lease":7,"slots":2})");
  desk.pass(nanoseconds(1));
  EXPECT_TRUE(desk.is_silent(make)) << "two of the four are held";
  EXPECT_EQ(desk.call(make, "acquire", R"({"min":2,"timeout_ms":0})").slots, 2);
  EXPECT_FALSE(desk.reply(make, waits));
}

TEST_F(DispatcherResumeTest, WhatIsDeclaredBeyondThePoolComesBackBeforeAnythingIsGranted) {
  desk.pass(core::kResumeGrace);
  const SessionId make = desk.join(kMake);
  const LeaseId lease = desk.take(make, R"({"min":3})");
  const auto [ninja, resumed] = join(kNinja, R"({"lease":7,"slots":3})");
  EXPECT_THAT(resumed, ElementsAre(7)) << "its job runs";
  EXPECT_EQ(desk.status(make).free, 0);
  const auto waits = desk.ask(make, "acquire");
  EXPECT_EQ(desk.call(make, "release", of(lease, R"(,"slots":2)")).slots, 1);
  EXPECT_FALSE(desk.reply(make, waits)) << "four of four are out";
  desk.notify(ninja, "release", of(7));
  EXPECT_TRUE(desk.reply(make, waits));
}

TEST_F(DispatcherResumeTest, ALeaseThatIsKnownPassesToTheNewSession) {
  desk.pass(core::kResumeGrace);
  const SessionId before = desk.join(kMake);
  const LeaseId lease = desk.take(before, R"({"min":2})");
  const auto [after, resumed] =
      join(kMake, R"({"lease":)" + std::to_string(lease) + R"(,"slots":4})");
  EXPECT_THAT(resumed, ElementsAre(lease));
  EXPECT_EQ(desk.leases.find(lease)->slots, 2) << "the arbiter knows better";
  EXPECT_EQ(desk.call(before, "release", of(lease)).code, ErrorCode::no_such_lease);
  desk.hang_up(before);
  EXPECT_EQ(desk.leases.free(), 2) << "the old connection took nothing with it";
  EXPECT_EQ(desk.call(after, "release", of(lease)).slots, 0);
}

TEST_F(DispatcherResumeTest, ALeaseThatOutlivedItsSessionIsResumed) {
  desk.pass(core::kResumeGrace);
  const SessionId before = desk.join(kMake);
  const LeaseId lease = desk.take(before, "{" + named(kJob) + "}");
  desk.call(before, "report", of(lease));
  desk.hang_up(before);
  const auto [after, resumed] =
      join(kMake, R"({"lease":)" + std::to_string(lease) + R"(,"slots":1,)" + named(kJob) + "}");
  EXPECT_THAT(resumed, ElementsAre(lease));
  EXPECT_EQ(desk.status(after).counters.resumed, 0U) << "it was never lost";
  desk.end(kJob);
  EXPECT_EQ(desk.call(after, "release", of(lease)).slots, 0);
}

class DispatcherLostTest : public testing::Test {
 public:
  DispatcherLostTest() { desk.alive.insert(kJob); }
  DispatcherDesk desk{4};  // nobody was arbiter before it

  LeaseId declare(ProcessId who, LeaseId lease, int slots) {
    const std::string one =
        R"({"lease":)" + std::to_string(lease) + R"(,"slots":)" + std::to_string(slots) + "}";
    return desk.call(desk.connect(who), "hello", hello(who, resume(one))).resumed.at(0);
  }
};

TEST_F(DispatcherLostTest, WhatNobodyHasGivenIsNotHeld) {
  EXPECT_EQ(declare(kNinja, 7, 3), 0U);
  EXPECT_EQ(desk.leases.free(), 4);
}

TEST_F(DispatcherLostTest, WhatWasLostWithAConnectionIsDeclaredByItsClientOnly) {
  const SessionId before = desk.join(kMake);
  const LeaseId lease = desk.take(before, R"({"min":2})");
  desk.hang_up(before);
  EXPECT_EQ(desk.leases.free(), 4);
  EXPECT_EQ(declare(kNinja, lease, 2), 0U) << "another one";
  EXPECT_EQ(declare(kMake, lease + 1, 2), 0U) << "another number";
  EXPECT_EQ(declare(kMake, lease, 4), lease);
  EXPECT_EQ(desk.leases.free(), 2) << "no more than it had";
}

TEST_F(DispatcherLostTest, WhatWasReleasedIsNotLost) {
  const SessionId before = desk.join(kMake);
  const LeaseId lease = desk.take(before);
  desk.call(before, "release", of(lease));
  desk.hang_up(before);
  EXPECT_EQ(declare(kMake, lease, 1), 0U);
}

TEST_F(DispatcherResumeTest, TheSameLeaseTwiceIsOneLease) {
  const auto [make, resumed] = join(kMake, R"({"lease":7,"slots":2},{"lease":7,"slots":2})");
  EXPECT_THAT(resumed, ElementsAre(7, 7));
  EXPECT_EQ(desk.leases.free(), 2);
  EXPECT_EQ(desk.call(make, "release", of(7)).slots, 0);
  EXPECT_EQ(desk.leases.free(), 4);
}

TEST_F(DispatcherResumeTest, ADeclaredLeaseBelongsToItsProcess) {
  join(kMake, R"({"lease":7,"slots":2,)" + named(kJob) + "}");
  desk.hang_up(1);
  EXPECT_EQ(desk.leases.free(), 2);
  desk.end(kJob);
  EXPECT_EQ(desk.leases.free(), 4);
}

TEST_F(DispatcherResumeTest, NewLeasesHaveOtherNumbersThanDeclaredOnes) {
  desk.leases.set_grace(desk.now);
  const auto [make, resumed] =
      join(kMake, R"({"lease":100,"slots":1},{"lease":9007199254740991,"slots":1})");
  EXPECT_THAT(resumed, ElementsAre(100, core::kMaxNumber));
  const LeaseId first = desk.take(make);
  const LeaseId second = desk.take(make);
  EXPECT_EQ(std::set<LeaseId>({100, core::kMaxNumber, first, second}).size(), 4U);
  EXPECT_LE(std::max(first, second), core::kMaxNumber);
}

TEST_F(DispatcherResumeTest, DrainingRefusesWhatWaitsAndWhoComes) {
  desk.pass(core::kResumeGrace);
  const SessionId make = desk.join(kMake);
  const LeaseId lease = desk.take(make, R"({"min":4})");
  const auto waits = desk.ask(make, "acquire");
  const SessionId late = desk.connect(kNinja);
  desk.drain();
  EXPECT_EQ(desk.reply(make, waits)->code, ErrorCode::draining);
  EXPECT_EQ(desk.call(make, "acquire").code, ErrorCode::draining);
  EXPECT_EQ(desk.call(make, "acquire", R"({"timeout_ms":0})").code, ErrorCode::draining);
  EXPECT_EQ(desk.call(late, "hello", hello(kNinja)).kind, Answer::Kind::result);
  EXPECT_EQ(desk.call(late, "acquire").code, ErrorCode::draining);
  EXPECT_TRUE(desk.status(make).draining);
  EXPECT_EQ(desk.call(make, "resize", of(lease, R"(,"min":1,"max":2)")).slots, 2);
  EXPECT_EQ(desk.call(make, "release", of(lease)).slots, 0);
  EXPECT_TRUE(desk.is_open(make));
  desk.hang_up(make);
  EXPECT_EQ(desk.leases.free(), 4);
}

TEST_F(DispatcherResumeTest, AnIdIsFreeAgainWhenDrainingHasAnsweredIt) {
  desk.pass(core::kResumeGrace);
  const SessionId make = desk.join(kMake);
  desk.take(make, R"({"min":4})");
  desk.say(make, DispatcherDesk::line(R"("a")", "acquire", "{}"));
  desk.drain();
  EXPECT_EQ(desk.heard(make)->code, ErrorCode::draining);
  desk.say(make, DispatcherDesk::line(R"("a")", "status", "{}"));
  EXPECT_EQ(desk.heard(make)->kind, Answer::Kind::result);
}

}  // namespace
}  // namespace tokenpool::session
