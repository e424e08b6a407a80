#include <string>

#include "client/session_desk.h"
#include "core/limits.h"
#include "wire/limits.h"

namespace tokenpool::client {
namespace {

TEST(SessionResume, declares_what_is_held_and_takes_the_new_numbers) {
  SessionDesk desk;
  desk.connect();
  const LeaseKey first = desk.acquire(11);
  const LeaseKey second = desk.acquire(12, 3);
  const LeaseKey third = desk.acquire(13, 2);
  desk.session.release(first, 0, desk.now);
  desk.session.release(third, 1, desk.now);
  desk.lose();
  const auto hello = desk.connect(R"(,"resumed":[12,77])");
  ASSERT_TRUE(hello.resume);
  ASSERT_EQ(hello.resume->size(), 2U);
  EXPECT_EQ(hello.resume->at(0), (wire::ResumedLease{.lease = 12, .slots = 3, .job = {}}));
  EXPECT_EQ(hello.resume->at(1), (wire::ResumedLease{.lease = 13, .slots = 1, .job = {}}));
  EXPECT_EQ(desk.session.lease(second).id, 12U);
  EXPECT_EQ(desk.session.lease(third).id, 77U);
  desk.session.release(third, 0, desk.now);
  EXPECT_EQ(desk.only<wire::ReleaseCall>().lease, 77U);
}

TEST(SessionResume, declares_the_words_and_the_process_of_a_lease) {
  SessionDesk desk;
  desk.connect();
  Wanted wanted;
  wanted.type = "cc";
  wanted.target = "a.o";
  wanted.memory = 5;
  wanted.priority = 2;
  const Ticket ticket = desk.session.begin(wanted, desk.now);
  desk.sent();
  const LeaseKey key = desk.grant(ticket, 11, 1);
  desk.lose();
  Report hand;
  hand.pid = 12;
  hand.start = 34;
  EXPECT_EQ((**desk.session.take_answer(desk.session.report(key, hand))).number, 0);
  const auto hello = desk.connect(R"(,"resumed":[11])");
  const wire::JobWords job{.type = "cc",
                           .target = "a.o",
                           .memory = 5,
                           .priority = 2,
                           .process = wire::NamedProcess{.pid = 12, .start = 34}};
  ASSERT_TRUE(hello.resume);
  EXPECT_EQ(hello.resume->at(0).job, job);
  EXPECT_TRUE(desk.sent().empty());
}

TEST(SessionResume, tells_of_leases_that_are_not_held_any_more) {
  SessionDesk desk;
  desk.connect();
  const LeaseKey first = desk.acquire(11);
  const LeaseKey second = desk.acquire(12);
  desk.lose();
  desk.connect(R"(,"resumed":[0])");
  EXPECT_EQ(desk.session.lease(first), LeaseView{});
  EXPECT_EQ(desk.session.lease(second), LeaseView{}) << "not in the list at all";
  for (const std::uint64_t lease : {11U, 12U}) {
    const auto notice = desk.session.take_notice();
    ASSERT_TRUE(notice);
    EXPECT_EQ(notice->kind, Notice::Kind::lost);
    EXPECT_EQ(notice->lease, lease);
  }
  EXPECT_EQ(desk.session.release(first, 0, desk.now), 0);
  EXPECT_TRUE(desk.sent().empty());
}

TEST(SessionResume, sets_right_what_happened_while_hello_was_under_way) {
  SessionDesk desk;
  desk.connect();
  const LeaseKey gone = desk.acquire(11);
  const LeaseKey less = desk.acquire(12, 3);
  const LeaseKey handed = desk.acquire(13);
  desk.lose();
  desk.session.opened(desk.now);
  EXPECT_EQ(desk.only<wire::HelloCall>().resume->size(), 3U);
  desk.session.release(gone, 0, desk.now);
  EXPECT_EQ(desk.session.release(less, 1, desk.now), 2);
  Report hand;
  hand.pid = 12;
  hand.start = 34;
  desk.session.report(handed, hand);
  EXPECT_TRUE(desk.sent().empty()) << "hello is not answered";
  desk.result(0, R"("session":4,"protocol":1,"slots":4,"resumed":[21,22,23])");
  const auto calls = desk.sent();
  ASSERT_EQ(calls.size(), 3U);
  EXPECT_EQ(std::get<wire::ReleaseCall>(calls[0].call),
            (wire::ReleaseCall{.lease = 21, .slots = 0}));
  EXPECT_EQ(std::get<wire::ReleaseCall>(calls[1].call),
            (wire::ReleaseCall{.lease = 22, .slots = 1}));
  EXPECT_EQ(std::get<wire::ReportCall>(calls[2].call).lease, 23U);
  EXPECT_EQ(std::get<wire::ReportCall>(calls[2].call).process->pid, 12);
}

TEST(SessionResume, declares_what_was_let_go_of_but_tells_nobody_when_it_is_gone) {
  SessionDesk desk;
  desk.connect();
  const LeaseKey key = desk.acquire(11);
  desk.session.detach(key);
  desk.lose();
  EXPECT_EQ(desk.connect(R"(,"resumed":[0])").resume->size(), 1U);
  EXPECT_FALSE(desk.session.take_notice());
}

// 512 leases with all their words do not fit into one line: what they make goes first.
TEST(SessionResume, keeps_within_a_line) {
  SessionDesk desk;
  desk.connect();
  Wanted wanted;
  wanted.type = std::string(wire::kMaxTypeBytes, 't');
  wanted.target = std::string(wire::kMaxTargetBytes, 'x');
  std::size_t held = 0;
  for (; held < wire::kMaxResumed + 8; ++held) {
    const Ticket ticket = desk.session.begin(wanted, desk.now);
    desk.sent();
    desk.grant(ticket, 1000 + held, 1);
  }
  desk.lose();
  desk.session.opened(desk.now);
  EXPECT_LE(desk.session.output()->size(), wire::kMaxLine);
  const auto hello = desk.only<wire::HelloCall>();
  ASSERT_TRUE(hello.resume);
  EXPECT_EQ(hello.resume->size(), wire::kMaxResumed);
  EXPECT_EQ(hello.resume->back().job.target, "");
  EXPECT_EQ(hello.resume->back().job.type, wanted.type);
}

TEST(SessionResume, declares_fewer_where_even_the_numbers_are_too_long) {
  SessionDesk desk;
  desk.connect();
  Wanted wanted;
  wanted.type = std::string(wire::kMaxTypeBytes, 't');
  wanted.memory = core::kMaxNumber;
  wanted.priority = -wire::kMaxPriority;
  wanted.pid = 2147483647;
  wanted.start = core::kMaxNumber;
  for (std::size_t i = 0; i < wire::kMaxResumed; ++i) {
    const Ticket ticket = desk.session.begin(wanted, desk.now);
    desk.sent();
    desk.grant(ticket, core::kMaxNumber - i, 1);
  }
  desk.lose();
  desk.session.opened(desk.now);
  EXPECT_LE(desk.session.output()->size(), wire::kMaxLine);
  const auto hello = desk.only<wire::HelloCall>();
  ASSERT_TRUE(hello.resume);
  EXPECT_GT(hello.resume->size(), wire::kMaxResumed / 2);
  std::string resumed;
  for (const auto& lease : *hello.resume) {
    resumed += (resumed.empty() ? "" : ",") + std::to_string(lease.lease);
  }
  desk.result(0, R"("session":4,"protocol":1,"slots":4,"resumed":[)" + resumed + "]");
  std::size_t lost = 0;
  while (desk.session.take_notice()) ++lost;
  EXPECT_EQ(lost, wire::kMaxResumed - hello.resume->size());
}

}  // namespace
}  // namespace tokenpool::client
