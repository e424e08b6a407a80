#include <string>
#include <vector>

#include "client/session_desk.h"
#include "wire/limits.h"

namespace tokenpool::client {
namespace {

using testing::ElementsAre;

Wanted at_least(int min) {
  Wanted wanted;
  wanted.min = min;
  return wanted;
}

std::vector<Ticket> ids(const std::vector<wire::CallRequest>& calls) {
  std::vector<Ticket> found;
  for (const auto& call : calls) {
    const auto* id = std::get_if<std::int64_t>(&call.id);
    found.push_back(id == nullptr ? 0 : static_cast<Ticket>(*id));
  }
  return found;
}

TEST(Session, says_hello_first_and_nothing_else_before_its_answer) {
  SessionDesk desk;
  desk.session.begin({}, desk.now);
  desk.session.opened(desk.now);
  const auto hello = desk.only<wire::HelloCall>();
  EXPECT_EQ(hello, SessionDesk::hello());
  EXPECT_FALSE(desk.session.up());
  desk.result(0, R"("session":3,"server":"fake","protocol":1,"slots":4,"epoch":"e")");
  EXPECT_TRUE(desk.session.up());
  EXPECT_EQ(desk.session.hello().slots, 4);
  EXPECT_EQ(desk.session.hello().session, 3U);
  desk.only<wire::AcquireCall>();
}

TEST(Session, tells_why_hello_was_refused) {
  SessionDesk desk;
  desk.session.opened(desk.now);
  desk.error(0, -32001);
  EXPECT_TRUE(desk.session.broken());
  desk.session.closed(desk.now);
  EXPECT_EQ(desk.session.refusal()->code, -32001);
}

TEST(Session, takes_another_protocol_for_a_refusal) {
  SessionDesk desk;
  desk.session.opened(desk.now);
  desk.result(0, R"("session":3,"protocol":2)");
  EXPECT_TRUE(desk.session.broken());
  EXPECT_EQ(desk.session.refusal()->code, -32002);
}

TEST(Session, gives_up_a_hello_that_nobody_answers) {
  SessionDesk desk;
  desk.session.opened(desk.now);
  EXPECT_EQ(desk.session.deadline(false), desk.now + 5s);
  desk.session.advance(desk.now + 5s - 1ns);
  EXPECT_FALSE(desk.session.broken());
  desk.session.advance(desk.now + 5s);
  EXPECT_TRUE(desk.session.broken());
}

TEST(Session, acquires_with_the_words_that_are_wanted) {
  SessionDesk desk;
  desk.connect();
  Wanted wanted;
  wanted.min = 2;
  wanted.max = 3;
  wanted.type = "link";
  wanted.target = "a\xff.o";
  wanted.memory = 7;
  wanted.priority = -3;
  wanted.pid = 12;
  wanted.start = 34;
  wanted.timeout = 80s;
  const Ticket ticket = desk.session.begin(wanted, desk.now);
  const auto call = desk.only<wire::AcquireCall>();
  EXPECT_EQ(call.min, 2);
  EXPECT_EQ(call.max, 3);
  EXPECT_EQ(call.timeout_ms, 80'000);
  const wire::JobWords job{.type = "link",
                           .target = "a?.o",
                           .memory = 7,
                           .priority = -3,
                           .process = wire::NamedProcess{.pid = 12, .start = 34}};
  EXPECT_EQ(call.job, job);
  EXPECT_EQ(desk.session.take(ticket), std::nullopt);
  desk.result(ticket, R"("lease":9,"slots":2,"watched":true)");
  const auto taken = desk.session.take(ticket);
  ASSERT_TRUE(taken && *taken);
  const LeaseView view{.id = 9, .slots = 2, .watched = true};
  EXPECT_EQ(desk.session.lease(**taken), view);
  EXPECT_EQ(desk.code(ticket), 0) << "it answers once";
}

TEST(Session, hands_on_what_the_arbiter_says_no_with) {
  SessionDesk desk;
  desk.connect();
  const Ticket ticket = desk.session.begin({}, desk.now);
  desk.error(ticket, -32005);
  EXPECT_EQ(desk.code(ticket), -32005);
}

TEST(Session, breaks_with_an_arbiter_that_grants_nothing) {
  for (const char* members : {"", R"("lease":9)", R"("slots":2)", R"("lease":9,"slots":0)"}) {
    SessionDesk desk;
    desk.connect();
    desk.result(desk.session.begin({}, desk.now), members);
    EXPECT_TRUE(desk.session.broken()) << members;
  }
}

TEST(Session, releases_by_notification_at_once) {
  SessionDesk desk;
  desk.connect();
  const LeaseKey key = desk.acquire(9, 3);
  EXPECT_EQ(desk.session.release(key, 2, desk.now), 1);
  wire::CallId id = std::int64_t{1};
  wire::ReleaseCall call = desk.only<wire::ReleaseCall>(&id);
  EXPECT_EQ(id, wire::CallId());
  EXPECT_EQ(call, (wire::ReleaseCall{.lease = 9, .slots = 2}));
  EXPECT_EQ(desk.session.release(key, 5, desk.now), 0);
  call = desk.only<wire::ReleaseCall>();
  EXPECT_EQ(call, (wire::ReleaseCall{.lease = 9, .slots = 0}));
  EXPECT_EQ(desk.session.lease(key), LeaseView{});
  EXPECT_EQ(desk.session.release(key, 0, desk.now), 0);
  EXPECT_TRUE(desk.sent().empty());
}

TEST(Session, resizes_when_the_arbiter_has_answered) {
  SessionDesk desk;
  desk.connect();
  const LeaseKey key = desk.acquire(9, 2);
  const Ticket ticket = desk.session.resize(key, 1, 5);
  EXPECT_EQ(desk.only<wire::ResizeCall>(), (wire::ResizeCall{.lease = 9, .min = 1, .max = 5}));
  EXPECT_EQ(desk.session.take_answer(ticket), std::nullopt);
  EXPECT_EQ(desk.session.lease(key).slots, 2);
  desk.result(ticket, "\"slots\":4");
  EXPECT_EQ(desk.session.lease(key).slots, 4);
  EXPECT_EQ((**desk.session.take_answer(ticket)).number, 4);
  const Ticket refused = desk.session.resize(key, 6, 6);
  desk.error(refused, -32003);
  EXPECT_EQ(desk.session.take_answer(refused)->error().code, -32003);
  EXPECT_EQ(desk.session.lease(key).slots, 4);
}

TEST(Session, asks_whether_a_process_is_watched_and_only_tells_the_rest) {
  SessionDesk desk;
  desk.connect();
  const LeaseKey key = desk.acquire(9);
  Report report;
  report.exit = 3;
  desk.session.report(key, report);
  wire::CallId id = std::int64_t{1};
  EXPECT_EQ(desk.only<wire::ReportCall>(&id).exit, 3);
  EXPECT_EQ(id, wire::CallId());
  report.pid = 12;
  report.start = 34;
  const Ticket ticket = desk.session.report(key, report);
  EXPECT_EQ(desk.only<wire::ReportCall>().process, (wire::NamedProcess{.pid = 12, .start = 34}));
  desk.result(ticket, "\"watched\":true");
  EXPECT_EQ((**desk.session.take_answer(ticket)).number, 1);
  EXPECT_TRUE(desk.session.lease(key).watched);
}

TEST(Session, cancels_and_drops) {
  SessionDesk desk;
  desk.connect();
  const Ticket first = desk.session.begin({}, desk.now);
  const Ticket second = desk.session.begin({}, desk.now);
  const Ticket third = desk.session.begin({}, desk.now);
  desk.sent();
  const Ticket cancel = desk.session.cancel(first);
  EXPECT_EQ(desk.only<wire::CancelCall>().id, wire::CallId(static_cast<std::int64_t>(first)));
  desk.error(first, -32004);
  desk.result(cancel, "\"cancelled\":true");
  EXPECT_EQ((**desk.session.take_answer(cancel)).number, 1);
  EXPECT_EQ(desk.code(first), -32004);
  desk.session.drop(second);
  EXPECT_EQ(desk.only<wire::CancelCall>().id, wire::CallId(static_cast<std::int64_t>(second)));
  desk.result(second, R"("lease":9,"slots":1)");
  EXPECT_EQ(desk.only<wire::ReleaseCall>().lease, 9U) << "granted meanwhile, so given back";
  desk.result(third, R"("lease":10,"slots":1)");
  desk.session.drop(third);
  EXPECT_EQ(desk.only<wire::ReleaseCall>().lease, 10U) << "granted and never taken";
  EXPECT_EQ(desk.code(third), 0);
}

TEST(Session, connects_again_later_each_time) {
  SessionDesk desk;
  EXPECT_TRUE(desk.session.wants_connection(desk.now));
  desk.connect();
  for (int turn = 0; turn < 2; ++turn) {
    for (const Instant delay : {50ms, 100ms, 200ms, 400ms, 800ms, 1600ms, 3200ms, 5000ms, 5000ms}) {
      desk.lose();
      EXPECT_EQ(desk.session.deadline(false), desk.now + delay);
      EXPECT_FALSE(desk.session.wants_connection(desk.now + delay - 1ns));
      desk.now += delay;
      EXPECT_TRUE(desk.session.wants_connection(desk.now));
      desk.session.opened(desk.now);
    }
    desk.lose();
    desk.now += 5s;
    desk.connect();
  }
}

TEST(Session, asks_again_in_order_with_the_time_that_is_left) {
  SessionDesk desk;
  desk.connect();
  Wanted timed;
  timed.timeout = 10s;
  const Ticket first = desk.session.begin(at_least(2), desk.now);
  const Ticket second = desk.session.begin(timed, desk.now);
  desk.sent();
  desk.lose();
  const Ticket third = desk.session.begin({}, desk.now);
  desk.now += 4s;
  desk.connect();
  const auto calls = desk.sent();
  EXPECT_THAT(ids(calls), ElementsAre(first, second, third));
  EXPECT_EQ(std::get<wire::AcquireCall>(calls[1].call).timeout_ms, 6000);
  desk.grant(first, 5, 2);
}

TEST(Session, looks_at_deadlines_itself_while_nobody_else_does) {
  SessionDesk desk;
  desk.connect();
  Wanted timed;
  timed.timeout = 3s;
  const Ticket before = desk.session.begin(timed, desk.now);
  desk.now += 1s;
  desk.lose();
  timed.timeout = 0s;
  EXPECT_EQ(desk.code(desk.session.begin(timed, desk.now)), -32003);
  desk.session.advance(desk.now + 2s - 1ns);
  EXPECT_EQ(desk.session.take(before), std::nullopt);
  desk.session.advance(desk.now + 2s);
  EXPECT_EQ(desk.code(before), -32003);
  desk.now += 2s;
  desk.connect();
  EXPECT_TRUE(desk.sent().empty());
}

TEST(Session, fails_what_is_no_acquire_when_the_connection_is_lost) {
  SessionDesk desk;
  desk.connect();
  const LeaseKey key = desk.acquire(9);
  const Ticket resize = desk.session.resize(key, 1, 2);
  const Ticket status = desk.session.call("status", "{}");
  const Ticket waits = desk.session.begin({}, desk.now);
  const Ticket cancel = desk.session.cancel(waits);
  desk.lose();
  EXPECT_EQ(desk.session.take_answer(resize)->error().code, 0);
  EXPECT_EQ(desk.session.take_answer(status)->error().code, 0);
  EXPECT_EQ((**desk.session.take_answer(cancel)).number, 1);
  EXPECT_EQ(desk.code(waits), -32004);
  EXPECT_EQ(desk.session.take_answer(desk.session.call("status", "{}"))->error().code, 0);
  EXPECT_EQ(desk.session.take_answer(desk.session.resize(key, 1, 1))->error().code, 0);
}

TEST(Session, grants_one_request_when_it_has_been_alone_for_long) {
  SessionDesk desk;
  desk.connect();
  const LeaseKey held = desk.acquire(9);
  const Ticket wide = desk.session.begin(at_least(2), desk.now);
  const Ticket first = desk.session.begin({}, desk.now);
  const Ticket second = desk.session.begin({}, desk.now);
  desk.lose();
  desk.session.advance(desk.now + kLonely);
  EXPECT_EQ(desk.session.take(first), std::nullopt) << "something is held";
  desk.session.release(held, 0, desk.now);
  desk.session.advance(desk.now + kLonely - 1ns);
  EXPECT_EQ(desk.session.take(first), std::nullopt) << "not for long";
  desk.now += kLonely;
  desk.session.advance(desk.now);
  const auto granted = desk.session.take(first);
  ASSERT_TRUE(granted && *granted);
  EXPECT_EQ(desk.session.lease(**granted), (LeaseView{.id = 0, .slots = 1, .watched = false}));
  EXPECT_EQ(desk.session.take(second), std::nullopt) << "one only";
  EXPECT_EQ(desk.session.take(wide), std::nullopt);
  desk.session.release(**granted, 0, desk.now);
  EXPECT_TRUE(desk.session.take(second)) << "the next one in its place";
  EXPECT_EQ(desk.connect().resume, std::nullopt) << "the arbiter knows nothing of it";
}

TEST(Session, never_grants_by_itself_while_it_is_connected) {
  SessionDesk desk;
  desk.connect();
  const Ticket ticket = desk.session.begin({}, desk.now);
  EXPECT_EQ(desk.session.deadline(false), std::nullopt);
  desk.session.advance(desk.now + 1h);
  EXPECT_EQ(desk.session.take(ticket), std::nullopt);
}

TEST(Session, keeps_calls_that_no_arbiter_could_answer_to_itself) {
  SessionDesk desk;
  desk.connect();
  for (const char* params : {"", "[", "{", "{}}", "{\"a\":1e999}", "{\"a\":\"\xff\"}"}) {
    const auto answer = desk.session.take_answer(desk.session.call("set", params));
    ASSERT_TRUE(answer) << params;
    EXPECT_EQ(answer->error().code, -32700) << params;
  }
  const std::string large = "{\"a\":\"" + std::string(wire::kMaxLine, 'x') + "\"}";
  EXPECT_EQ(desk.session.take_answer(desk.session.call("set", large))->error().code, -32600);
  EXPECT_EQ(desk.session.take_answer(desk.session.call("a\"b", "{}"))->error().code, -32601);
  EXPECT_TRUE(desk.sent().empty());
  const Ticket ticket = desk.session.call("set", "{\n\"slots\":\r\n 3}");
  EXPECT_EQ(desk.only<wire::SetCall>().slots, 3);
  desk.result(ticket, "\"slots\":3,\"paused\":false");
  EXPECT_EQ((**desk.session.take_answer(ticket)).body, "{\"slots\":3,\"paused\":false}");
}

TEST(Session, hands_on_notices_of_what_it_holds) {
  SessionDesk desk;
  desk.connect();
  desk.acquire(9, 2);
  desk.notify("recall", R"({"lease":9,"slots":1})");
  desk.notify("recall", R"({"lease":77,"slots":1})");
  desk.notify("weather", R"({"rain":true})");
  desk.notify("revoke", R"({"lease":9,"reason":"memory","deadline_ms":500})");
  desk.notify("event", R"({"kind":"set","free":2})");
  const auto recall = desk.session.take_notice();
  ASSERT_TRUE(recall);
  EXPECT_EQ(recall->kind, Notice::Kind::recall);
  EXPECT_EQ(recall->lease, 9U);
  EXPECT_EQ(recall->slots, 1);
  const auto revoke = desk.session.take_notice();
  ASSERT_TRUE(revoke);
  EXPECT_EQ(revoke->kind, Notice::Kind::revoke);
  EXPECT_EQ(revoke->reason, "memory");
  EXPECT_EQ(revoke->deadline, 500ms);
  const auto event = desk.session.take_notice();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->params, R"({"kind":"set","free":2})");
  EXPECT_FALSE(desk.session.take_notice());
}

TEST(Session, drops_the_oldest_notices_that_nobody_takes) {
  SessionDesk desk;
  desk.connect();
  for (std::size_t i = 0; i < kMaxNotices + 2; ++i) {
    desk.notify("event", "{\"kind\":\"set\",\"free\":" + std::to_string(i) + "}");
  }
  EXPECT_EQ(desk.session.take_notice()->params, R"({"kind":"set","free":2})");
}

TEST(Session, reads_lines_in_any_pieces_up_to_their_limit) {
  SessionDesk desk;
  desk.connect();
  const Ticket ticket = desk.session.begin({}, desk.now);
  const std::string head = "{\"jsonrpc\":\"2.0\",\"id\":" + std::to_string(ticket) +
                           ",\"result\":{\"lease\":9,\"slots\":1,\"pad\":\"";
  std::string line = head + std::string(wire::kMaxLine - 1 - head.size() - 3, 'x') + "\"}}\n";
  ASSERT_EQ(line.size(), wire::kMaxLine);
  for (const char byte : line) desk.session.received(std::string_view(&byte, 1), desk.now);
  EXPECT_FALSE(desk.session.broken());
  EXPECT_TRUE(desk.session.take(ticket));
  line.insert(line.size() - 4, "x");
  desk.session.received(line, desk.now);
  EXPECT_TRUE(desk.session.broken());
}

}  // namespace
}  // namespace tokenpool::client
