// Who is let in, and what a session does with bytes; tokenpool-protocol(7), FRAMES and hello. The
// calls: dispatcher_calls_test.cc.
#include "session/dispatcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "session/dispatcher_desk.h"
#include "session/limits.h"
#include "wire/limits.h"

namespace tokenpool::session {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using testing::HasSubstr;

constexpr std::string_view kOtherCookie =
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

struct DispatcherTest : testing::Test {
  DispatcherDesk desk{4};

  /// What a stranger is told that says this, and whether it is shown the door.
  void expect_turned_away(std::string_view method, const std::string& params, ErrorCode code) {
    const SessionId session = desk.connect(kMake);
    const auto answer = desk.call(session, method, params);
    EXPECT_EQ(answer.kind, Answer::Kind::error) << params;
    EXPECT_EQ(answer.code, code) << params;
    EXPECT_FALSE(desk.is_open(session)) << params;
  }
};

TEST_F(DispatcherTest, HelloTellsWhoTheArbiterIs) {
  const SessionId session = desk.connect(kMake);
  const Answer answer = desk.call(session, "hello", hello(kMake));
  EXPECT_EQ(answer.session, session);
  EXPECT_EQ(answer.server, "tokenpool 0.1.0");
  EXPECT_EQ(answer.protocol, 1);
  EXPECT_EQ(answer.slots, 4);
  EXPECT_EQ(answer.epoch, "epoch-1");
  EXPECT_THAT(answer.body, HasSubstr(R"("features":[)"));
  for (const char* name : {"acquire", "release", "resize", "report", "cancel", "status", "set"}) {
    EXPECT_THAT(answer.body, HasSubstr('"' + std::string(name) + '"'));
  }
  EXPECT_THAT(answer.body, testing::Not(HasSubstr("resumed"))) << "nothing was declared";
  EXPECT_TRUE(desk.is_open(session));
  EXPECT_EQ(desk.dispatcher.session_of(kMake), session);
  EXPECT_NE(desk.join(kNinja), session) << "a session has a number of its own";
}

TEST_F(DispatcherTest, AHelloWithoutAnIdIsCarriedOut) {
  const SessionId session = desk.connect(kMake);
  desk.notify(session, "hello", hello(kMake));
  EXPECT_TRUE(desk.is_silent(session));
  EXPECT_EQ(desk.call(session, "acquire").slots, 1);
}

TEST_F(DispatcherTest, HelloTwiceIsRefusedAndChangesNothing) {
  const SessionId session = desk.join(kMake);
  const LeaseId lease = desk.take(session);
  EXPECT_EQ(desk.call(session, "hello", hello(kNinja, {}, "ninja")).code,
            ErrorCode::invalid_request);
  EXPECT_TRUE(desk.is_open(session));
  EXPECT_EQ(desk.status(session).leases.at(0).name, "make");
  EXPECT_EQ(desk.call(session, "release", of(lease)).slots, 0);
}

TEST_F(DispatcherTest, AHelloLacksNothing) {
  for (const char* params :
       {"{}", R"({"protocol":1})", R"({"protocol":1,"cookie":"x","name":"make"})",
        R"({"protocol":1,"name":"make","pid":7})", R"({"protocol":1,"cookie":"x","pid":7})",
        R"({"cookie":"x","name":"make","pid":7})"}) {
    expect_turned_away("hello", params, ErrorCode::invalid_params);
  }
  EXPECT_EQ(desk.status(desk.join(kMake)).counters.unauthorized, 0U);
}

TEST_F(DispatcherTest, AnotherProtocolIsRefusedWhateverItsMembersAre) {
  expect_turned_away("hello", R"({"protocol":2,"token":"?"})", ErrorCode::unsupported_protocol);
  expect_turned_away("hello", R"({"protocol":0})", ErrorCode::unsupported_protocol);
  expect_turned_away("hello", R"({"protocol":4294967297})", ErrorCode::unsupported_protocol);
}

TEST_F(DispatcherTest, EveryOtherCallBeforeHelloIsRefused) {
  for (const char* method : {"acquire", "status", "set", "subscribe", "frobnicate"}) {
    expect_turned_away(method, "{}", ErrorCode::not_authorized);
  }
  expect_turned_away("release", of(7), ErrorCode::not_authorized);
  expect_turned_away("resize", of(7, R"(,"min":1,"max":2)"), ErrorCode::not_authorized);
  expect_turned_away("report", of(7), ErrorCode::not_authorized);
  expect_turned_away("cancel", R"({"id":7})", ErrorCode::not_authorized);
  EXPECT_EQ(desk.leases.free(), 4);
}

TEST_F(DispatcherTest, ANotificationBeforeHelloClosesWithoutAWord) {
  const SessionId session = desk.connect(kMake);
  desk.notify(session, "release", of(7));
  EXPECT_TRUE(desk.is_silent(session));
  EXPECT_FALSE(desk.is_open(session));
}

TEST_F(DispatcherTest, WhatComesBehindARefusedHelloIsNotRead) {
  const SessionId session = desk.connect(kMake);
  desk.feed(session, DispatcherDesk::line("1", "status", "{}") + "\n" +
                         DispatcherDesk::line("2", "hello", hello(kMake)) + "\n");
  EXPECT_EQ(desk.heard(session)->id, wire::CallId(std::int64_t{1}));
  EXPECT_TRUE(desk.is_silent(session));
}

TEST_F(DispatcherTest, AWrongCookieIsToldSoLaterAndClosed) {
  const SessionId session = desk.connect(kMake);
  const auto id = desk.ask(session, "hello", hello(kMake, {}, "make", kOtherCookie));
  EXPECT_TRUE(desk.is_silent(session)) << "a guess costs time";
  desk.ask(session, "hello", hello(kMake));
  EXPECT_TRUE(desk.is_silent(session)) << "there is no second guess";
  desk.pass(kCookiePenalty - nanoseconds(1));
  EXPECT_TRUE(desk.is_silent(session));
  EXPECT_TRUE(desk.is_open(session));
  desk.pass(nanoseconds(1));
  const auto answer = desk.reply(session, id);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->code, ErrorCode::not_authorized);
  EXPECT_TRUE(desk.is_silent(session)) << "one error";
  EXPECT_FALSE(desk.is_open(session));
}

TEST_F(DispatcherTest, ACookieHasToBeWhole) {
  const std::string cookie(kCookie);
  for (const std::string& wrong :
       {std::string(), cookie.substr(1), cookie.substr(0, 63), cookie + "0", cookie + cookie,
        cookie.substr(0, 63) + "e", "1" + cookie.substr(1)}) {
    const SessionId session = desk.connect(kMake);
    const auto id = desk.ask(session, "hello", hello(kMake, {}, "make", wrong));
    desk.pass(kMaxCookiePenalty);
    const auto answer = desk.reply(session, id);
    ASSERT_TRUE(answer) << wrong;
    EXPECT_EQ(answer->code, ErrorCode::not_authorized) << wrong;
    EXPECT_FALSE(desk.is_open(session)) << wrong;
  }
  EXPECT_EQ(desk.status(desk.join(kMake)).counters.unauthorized, 7U);
}

TEST_F(DispatcherTest, EachWrongCookieIsAnsweredLaterUntilOneIsRight) {
  const auto punished_for = [&](Instant penalty) {
    const SessionId session = desk.connect(kMake);
    desk.ask(session, "hello", hello(kMake, {}, "make", kOtherCookie));
    desk.pass(penalty - nanoseconds(1));
    EXPECT_TRUE(desk.is_open(session)) << penalty.count();
    desk.pass(nanoseconds(1));
    EXPECT_FALSE(desk.is_open(session)) << penalty.count();
  };
  for (const int ms : {100, 200, 400, 800, 1600, 2000, 2000}) punished_for(milliseconds(ms));
  desk.join(kMake);
  punished_for(milliseconds(100));
}

TEST_F(DispatcherTest, APunishedClientThatHangsUpLeavesNothing) {
  const SessionId session = desk.connect(kMake);
  desk.ask(session, "hello", hello(kMake, {}, "make", kOtherCookie));
  desk.hang_up(session);
  desk.pass(seconds(5));
  EXPECT_FALSE(desk.dispatcher.next_deadline());
}

TEST_F(DispatcherTest, WhoDoesNotSayHelloIsClosed) {
  const SessionId session = desk.connect(kMake);
  const SessionId member = desk.join(kNinja);
  desk.feed(session, R"({"jsonrpc":)");
  desk.pass(kHelloPatience - nanoseconds(1));
  EXPECT_TRUE(desk.is_open(session));
  desk.pass(nanoseconds(1));
  const auto answer = desk.heard(session);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->code, ErrorCode::not_authorized);
  EXPECT_EQ(answer->id, wire::CallId());
  EXPECT_FALSE(desk.is_open(session));
  EXPECT_TRUE(desk.is_open(member));
  EXPECT_FALSE(desk.dispatcher.next_deadline());
}

TEST_F(DispatcherTest, ALineMayComeInPieces) {
  const SessionId session = desk.connect(kMake);
  const std::string text = DispatcherDesk::line("1", "hello", hello(kMake)) + "\r\n\n\r\n" +
                           DispatcherDesk::line(R"("s")", "status", "{}") + "\n";
  for (const char byte : text) desk.feed(session, {&byte, 1});
  EXPECT_EQ(desk.heard(session)->session, session);
  EXPECT_EQ(desk.heard(session)->id, wire::CallId(std::string("s")));
  EXPECT_TRUE(desk.is_silent(session)) << "empty lines are ignored";
}

TEST_F(DispatcherTest, ALineHasAtMost65536BytesWithItsNewline) {
  const std::string start = R"({"jsonrpc":"2.0","id":5,"method":"status","params":{"pad":")";
  const auto padded = [&](std::size_t bytes) {
    return start + std::string(bytes - start.size() - 4, 'x') + "\"}}\n";
  };
  const SessionId session = desk.join(kMake);
  ASSERT_EQ(padded(wire::kMaxLine).size(), wire::kMaxLine);
  desk.feed(session, padded(wire::kMaxLine));
  EXPECT_EQ(desk.heard(session)->kind, Answer::Kind::result);
  const std::string longest = padded(wire::kMaxLine);
  desk.feed(session, longest.substr(0, 40000));
  desk.feed(session, longest.substr(40000));
  EXPECT_EQ(desk.heard(session)->kind, Answer::Kind::result);
  desk.feed(session, padded(wire::kMaxLine + 1));
  const auto answer = desk.heard(session);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->code, ErrorCode::invalid_request);
  EXPECT_EQ(answer->id, wire::CallId());
  EXPECT_FALSE(desk.is_open(session));
}

TEST_F(DispatcherTest, ALineThatDoesNotEndIsNotKept) {
  const SessionId session = desk.join(kMake);
  for (int i = 0; i < 64; ++i) desk.feed(session, std::string(1024, 'x'));
  EXPECT_EQ(desk.heard(session)->code, ErrorCode::invalid_request);
  EXPECT_FALSE(desk.is_open(session));
}

TEST_F(DispatcherTest, SeveralMessagesAreBegunInTheirOrder) {
  const SessionId session = desk.join(kMake);
  desk.feed(session, DispatcherDesk::line("1", "acquire", R"({"min":4})") + "\n" +
                         DispatcherDesk::line("2", "acquire", "{}") + "\n" +
                         DispatcherDesk::line("3", "cancel", R"({"id":2})") + "\n");
  EXPECT_EQ(desk.heard(session)->slots, 4);
  EXPECT_EQ(desk.heard(session)->code, ErrorCode::cancelled);
  EXPECT_EQ(desk.heard(session)->cancelled, true) << "an acquire that waits holds up nobody";
}

TEST_F(DispatcherTest, SixteenLinesThatAreNoMessageCloseTheConnection) {
  const SessionId session = desk.join(kMake);
  for (int i = 1; i <= kMaxBadLines; ++i) {
    ASSERT_TRUE(desk.is_open(session)) << i;
    desk.say(session, i % 2 == 0 ? "{" : "\xff");
    EXPECT_EQ(desk.heard(session)->code, ErrorCode::parse_error);
  }
  EXPECT_FALSE(desk.is_open(session));
}

TEST_F(DispatcherTest, RefusedCallsAreMessages) {
  const SessionId session = desk.join(kMake);
  for (int i = 0; i < 3 * kMaxBadLines; ++i) {
    EXPECT_EQ(desk.call(session, "frobnicate").code, ErrorCode::method_not_found);
    EXPECT_EQ(desk.call(session, "acquire", R"({"min":0})").code, ErrorCode::invalid_params);
  }
  EXPECT_TRUE(desk.is_open(session));
}

TEST_F(DispatcherTest, UnknownMembersAreIgnored) {
  const SessionId session = desk.connect(kMake);
  const Answer answer = desk.call(session, "hello", hello(kMake, R"(,"colour":{"a":[1]})"));
  EXPECT_EQ(answer.session, session);
  EXPECT_EQ(desk.call(session, "acquire", R"({"min":2,"shape":"round"})").slots, 2);
  desk.say(session, R"({"jsonrpc":"2.0","id":"x","method":"status","trace":[1,{}]})");
  EXPECT_EQ(desk.heard(session)->kind, Answer::Kind::result);
}

TEST_F(DispatcherTest, ANotificationIsCarriedOutAndNeverAnswered) {
  const SessionId session = desk.join(kMake);
  const LeaseId lease = desk.take(session, R"({"min":3})");
  desk.notify(session, "resize", of(lease, R"(,"min":1,"max":2)"));
  EXPECT_EQ(desk.leases.find(lease)->slots, 2);
  desk.notify(session, "release", of(lease));
  EXPECT_EQ(desk.leases.free(), 4);
  desk.notify(session, "release", of(lease));
  desk.notify(session, "resize", of(lease, R"(,"min":1,"max":2)"));
  desk.notify(session, "report", of(lease));
  desk.notify(session, "cancel", R"({"id":4})");
  desk.notify(session, "status");
  desk.notify(session, "acquire", R"({"min":0})");
  desk.notify(session, "frobnicate");
  desk.notify(session, "hello", hello(kMake));
  desk.notify(session, "set", R"({"paused":true})");
  EXPECT_TRUE(desk.leases.paused());
  EXPECT_TRUE(desk.is_silent(session));
  EXPECT_TRUE(desk.is_open(session));
}

TEST_F(DispatcherTest, AnIdIsATextOrANumberAndFreeAgainWhenItIsAnswered) {
  const SessionId session = desk.join(kMake);
  desk.take(session, R"({"min":4})");
  desk.say(session, DispatcherDesk::line("1", "acquire", "{}"));
  desk.say(session, DispatcherDesk::line(R"("1")", "acquire", "{}"));
  EXPECT_TRUE(desk.is_silent(session)) << "1 and \"1\" are two ids";
  for (const char* method : {"status", "acquire", "subscribe", "set"}) {
    desk.say(session, DispatcherDesk::line("1", method, "{}"));
    const auto answer = desk.heard(session);
    ASSERT_TRUE(answer) << method;
    EXPECT_EQ(answer->code, ErrorCode::invalid_request) << method;
    EXPECT_EQ(answer->id, wire::CallId(std::int64_t{1})) << method;
  }
  desk.say(session, DispatcherDesk::line("2", "cancel", R"({"id":1})"));
  EXPECT_EQ(desk.heard(session)->code, ErrorCode::cancelled);
  EXPECT_EQ(desk.heard(session)->cancelled, true);
  desk.say(session, DispatcherDesk::line("1", "status", "{}"));
  EXPECT_EQ(desk.heard(session)->kind, Answer::Kind::result);
  const SessionId other = desk.join(kNinja);
  desk.say(other, DispatcherDesk::line(R"("1")", "status", "{}"));
  EXPECT_EQ(desk.heard(other)->kind, Answer::Kind::result) << "an id is of one session";
}

}  // namespace
}  // namespace tokenpool::session
