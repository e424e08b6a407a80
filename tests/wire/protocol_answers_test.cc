// What an arbiter writes, to the byte, and what a client reads of it.
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "wire/protocol_codec.h"

namespace tokenpool::wire {
namespace {

const CallId kSeven = std::int64_t{7};

template <typename T>
std::string result_line(const CallId& id, const T& result) {
  std::string out = "before\n";
  append_result(&out, id, result);
  return out;
}

TEST(ProtocolAnswers, Hello) {
  HelloResult result{3, "tokenpool 0.1.0", 4, "5f2c-1", std::nullopt};
  const std::string start =
      "before\n"
      R"({"jsonrpc":"2.0","id":7,"result":{"session":3,"server":"tokenpool 0.1.0","protocol":1,)"
      R"("slots":4,"epoch":"5f2c-1","features":["hello","acquire","release","resize","report",)"
      R"("cancel","status","set","subscribe"])";
  EXPECT_EQ(result_line(kSeven, result), start + "}}\n");
  result.resumed.emplace();
  EXPECT_EQ(result_line(kSeven, result), start + ",\"resumed\":[]}}\n");
  result.resumed = {7, 0};
  EXPECT_EQ(result_line(kSeven, result), start + ",\"resumed\":[7,0]}}\n");
}

TEST(ProtocolAnswers, Acquire) {
  EXPECT_EQ(result_line(kSeven, AcquireResult{8123, 2, 0, {}}),
            "before\n{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"lease\":8123,\"slots\":2}}\n");
  EXPECT_EQ(result_line(CallId("a\"\n"), AcquireResult{8123, 2, 1, false}),
            "before\n"
            R"({"jsonrpc":"2.0","id":"a\"\u000a","result":{"lease":8123,"slots":2,"paid":1,)"
            "\"watched\":false}}\n");
}

TEST(ProtocolAnswers, SmallOnes) {
  std::string out;
  append_slots_result(&out, kSeven, 0);
  append_watched_result(&out, kSeven, std::nullopt);
  append_watched_result(&out, kSeven, true);
  append_cancelled_result(&out, kSeven, false);
  append_set_result(&out, kSeven, 4, {{"link", 2, 1}, {"lto", 0, 3}}, true);
  append_error(&out, CallId(), ErrorCode::parse_error, "no JSON at byte 7");
  EXPECT_EQ(
      out,
      "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"slots\":0}}\n"
      "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}\n"
      "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"watched\":true}}\n"
      "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"cancelled\":false}}\n"
      R"({"jsonrpc":"2.0","id":7,"result":{"slots":4,"limits":[{"type":"link","limit":2,"used":1},)"
      "{\"type\":\"lto\",\"limit\":0,\"used\":3}],\"paused\":true}}\n"
      "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,\"message\":"
      "\"no JSON at byte 7\"}}\n");
}

TEST(ProtocolAnswers, Notifications) {
  std::string out;
  append_event(&out, {"granted", 8, 3, "make", "app", "link", 2, 1, 17});
  append_event(&out, {"set", 0, 0, "", "", "", 0, 0, 0});
  append_recall(&out, 8, 0);
  append_revoke(&out, 8, "memory", 2000);
  EXPECT_EQ(out,
            R"({"jsonrpc":"2.0","method":"event","params":{"kind":"granted","lease":8,)"
            R"("session":3,"name":"make","target":"app","type":"link","slots":2,"free":1,)"
            "\"lost\":17}}\n"
            "{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":{\"kind\":\"set\",\"free\":0}}\n"
            "{\"jsonrpc\":\"2.0\",\"method\":\"recall\",\"params\":{\"lease\":8,\"slots\":0}}\n"
            R"({"jsonrpc":"2.0","method":"revoke","params":{"lease":8,"reason":"memory",)"
            "\"deadline_ms\":2000}}\n");
}

std::string message_of(std::string_view bytes) {
  std::string out;
  append_error(&out, kSeven, ErrorCode::internal_error, bytes);
  const std::optional<Answer> answer =
      parse_answer(std::string_view(out).substr(0, out.size() - 1));
  if (!answer) {
    ADD_FAILURE() << out;
    return {};
  }
  return answer->message;
}

TEST(ProtocolAnswers, BytesThatAreNoUtf8AreReplaced) {
  const std::string kept =
      "a\x7f\xC2\x80\xDF\xBF\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF"
      "\xF0\x90\x80\x80\xF4\x8F\xBF\xBF\"\\/\n\x01";
  EXPECT_EQ(message_of(kept), kept);
  const std::string_view with_zero("a\0b", 3);
  EXPECT_EQ(message_of(with_zero), with_zero);
  const std::string r = "\xEF\xBF\xBD";
  EXPECT_EQ(message_of("a\xFFz"), "a" + r + "z");
  EXPECT_EQ(message_of("\x80"), r);
  EXPECT_EQ(message_of("\xC1\xBF"), r + r);
  EXPECT_EQ(message_of("\xC2"), r);
  EXPECT_EQ(message_of("\xE2\x82"), r + r);
  EXPECT_EQ(message_of("\xE0\x9F\xBF"), r + r + r);
  EXPECT_EQ(message_of("\xED\xA0\x80"), r + r + r);
  EXPECT_EQ(message_of("\xF0\x8F\xBF\xBF"), r + r + r + r);
  EXPECT_EQ(message_of("\xF4\x90\x80\x80"), r + r + r + r);
  EXPECT_EQ(message_of("\xF5\x80\x80\x80"), r + r + r + r);
  EXPECT_EQ(message_of("\xF0\x9F\x94"), r + r + r);
  EXPECT_EQ(message_of("\xE2\x82x"), r + r + "x");
}

TEST(ProtocolAnswers, CodesForPeople) {
  EXPECT_EQ(to_string(ErrorCode::internal_error), "internal_error");
  EXPECT_EQ(to_string(ErrorCode::draining), "draining");
  EXPECT_EQ(to_string(static_cast<ErrorCode>(-1)), "error");
}

// --- the client's side ---

TEST(ProtocolCallsWritten, WithoutDefaults) {
  std::string out;
  append_request(&out, {kSeven, AcquireCall{}});
  append_request(&out, {kSeven, AcquireCall{3, 3, {}, {}}});
  append_request(&out, {kSeven, AcquireCall{1, 3, {}, 0}});
  append_request(&out, {CallId(), ReleaseCall{5, 0}});
  append_request(&out, {CallId("x"), StatusCall{}});
  append_request(&out, {kSeven, SetCall{{}, {{"a", 1}, {"b", std::nullopt}}, false}});
  EXPECT_EQ(out,
            "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"acquire\"}\n"
            "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"acquire\",\"params\":{\"min\":3}}\n"
            R"({"jsonrpc":"2.0","id":7,"method":"acquire","params":{"max":3,"timeout_ms":0}})"
            "\n"
            "{\"jsonrpc\":\"2.0\",\"method\":\"release\",\"params\":{\"lease\":5}}\n"
            "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"status\"}\n"
            R"({"jsonrpc":"2.0","id":7,"method":"set","params":{"limits":{"a":1,"b":null},)"
            "\"paused\":false}}\n");
}

TEST(ProtocolCallsWritten, InfinityIsLeftOut) {
  std::string out;
  ReportCall call{5, {}, {}, HUGE_VAL, {}};
  append_request(&out, {kSeven, call});
  EXPECT_EQ(out, "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"report\",\"params\":{\"lease\":5}}\n");
}

TEST(ProtocolAnswersRead, TheBodyIsTheTextOfTheLine) {
  const std::optional<Answer> answer = parse_answer(
      R"( {"result" : {"slots":1, "x":"\u0041"} ,"params":{"lease":5},"id":7,"jsonrpc":"2.0"})");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, R"({"slots":1, "x":"\u0041"})");
  EXPECT_EQ(answer->slots, 1);
  EXPECT_EQ(answer->lease, 0U);
}

TEST(ProtocolAnswersRead, TheLastOfTwoCounts) {
  const std::optional<Answer> answer =
      parse_answer(R"({"jsonrpc":"2.0","id":7,"result":{"lease":"x","resumed":[1]},)"
                   R"("result":{"slots":2,"resumed":[true],"resumed":[3]}})");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, R"({"slots":2,"resumed":[true],"resumed":[3]})");
  EXPECT_EQ(answer->lease, 0U);
  EXPECT_EQ(answer->resumed, std::vector<std::uint64_t>{3});
}

TEST(ProtocolAnswersRead, MembersOfAnotherType) {
  for (const std::string member :
       {R"("session":-1)", R"("server":1)", R"("protocol":"1")", R"("epoch":null)",
        R"("resumed":{})", R"("resumed":[-1])", R"("resumed":["1"])", R"("resumed":[[]])",
        R"("lease":1.0)", R"("lease":9007199254740992)", R"("slots":2147483648)", R"("paid":[])",
        R"("watched":1)", R"("cancelled":"true")", R"("reason":{})", R"("deadline_ms":1e3)"}) {
    const std::string body = "{" + member + "}";
    EXPECT_FALSE(parse_answer(R"({"jsonrpc":"2.0","id":7,"result":)" + body + "}")) << member;
    EXPECT_FALSE(parse_answer(R"({"jsonrpc":"2.0","method":"revoke","params":)" + body + "}"));
    // Of another one nobody knows what it means.
    EXPECT_TRUE(parse_answer(R"({"jsonrpc":"2.0","method":"weather","params":)" + body + "}"));
  }
}

TEST(ProtocolAnswersRead, WhatIsNone) {
  for (const std::string line :
       {R"({"jsonrpc":"2.0","id":7,"method":"recall","params":{"lease":1,"slots":0}})",
        R"({"jsonrpc":"2.0","id":null,"result":{}})", R"({"jsonrpc":"2.0","error":{"code":1}})",
        R"({"jsonrpc":"2.0","id":7,"result":{},"method":"x"})",
        R"({"jsonrpc":"2.0","id":7,"error":{"code":2147483648,"message":""}})",
        R"({"jsonrpc":"2.0","id":7,"error":{"code":1.0,"message":""}})",
        R"({"jsonrpc":"2.0","id":7,"error":{"code":1,"message":2}})"}) {
    EXPECT_FALSE(parse_answer(line)) << line;
  }
}

TEST(ProtocolStatusRead, WhatIsNone) {
  EXPECT_TRUE(parse_status(R"({"slots":1})"));
  for (const std::string body : {"",
                                 "{}",
                                 "[]",
                                 "1",
                                 R"({"slots":"1"})",
                                 R"({"slots":1,"free":1.5})",
                                 R"({"slots":1,"paused":0})",
                                 R"({"slots":1,"server":1})",
                                 R"({"slots":1,"leases":{}})",
                                 R"({"slots":1,"leases":[1]})",
                                 R"({"slots":1,"waiting":[[]]})",
                                 R"({"slots":1,"limits":[{"type":1}]})",
                                 R"({"slots":1,"limits":null})",
                                 R"({"slots":1,"recoveries":[{"cause":1}]})",
                                 R"({"slots":1,"counters":[]})",
                                 R"({"slots":1,"uncooperative":{}})",
                                 R"({"slots":1,"uncooperative":[{"millicores":1.5}]})",
                                 R"({"slots":1,"counters":{"granted":-1}})",
                                 R"({"slots":1,"run":[]})",
                                 R"({"slots":1,"run":{"over":1}})",
                                 R"({"slots":1,"holders":{}})",
                                 R"({"slots":1,"holders":[{"tokens":-1}]})",
                                 R"({"slots":1,"jobs":[{"command":7}]})",
                                 R"({"slots":1,"leases":[{"name":null}]})",
                                 R"({"slots":{}})",
                                 R"({"slots":1)"}) {
    EXPECT_FALSE(parse_status(body)) << body;
  }
}

TEST(ProtocolStatusRead, WhatIsWrittenOfABuild) {
  StatusResult status;
  status.slots = 4;
  status.run = RunStatus{"make \x1b", "/src", 7, 8, true, "exact", 1, 2, 3, 4, 5, 6};
  status.holders = {{9, 2, "make", 10}};
  status.jobs = {{9, 11, "cc", 12}, {0, 13, "sccache", 14}};
  std::string line;
  append_result(&line, kSeven, status);
  const std::optional<Answer> answer =
      parse_answer(std::string_view(line).substr(0, line.size() - 1));
  ASSERT_TRUE(answer);
  const std::optional<StatusResult> read = parse_status(answer->body);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->run, status.run);
  EXPECT_EQ(read->holders, status.holders);
  EXPECT_EQ(read->jobs, status.jobs);
}

TEST(ProtocolStatusRead, UnknownMembersAreIgnored) {
  const std::optional<StatusResult> status = parse_status(
      R"({"x":{"slots":"a"},"slots":2,"free":-1,"leases":[{"y":[{"slots":"b"}],"slots":1,)"
      R"("counters":{"granted":"c"}}],"counters":{"z":[],"granted":5},"y":[[1]],"waiting":[{}]})");
  ASSERT_TRUE(status);
  EXPECT_EQ(status->slots, 2);
  EXPECT_EQ(status->free, -1);
  EXPECT_EQ(status->counters.granted, 5U);
  ASSERT_EQ(status->leases.size(), 1U);
  EXPECT_EQ(status->leases[0].slots, 1);
  EXPECT_EQ(status->waiting, std::vector<StatusRow>(1));
}

TEST(ProtocolStatusRead, RowsBeyondTheMostAreLeftOut) {
  std::string rows = "[{}";
  for (std::size_t i = 0; i < 100; ++i) rows += ",{}";
  rows += "]";
  const std::optional<StatusResult> status =
      parse_status(R"({"slots":1,"leases":)" + rows + ",\"waiting\":" + rows +
                   ",\"recoveries\":" + rows + ",\"uncooperative\":" + rows + "}");
  ASSERT_TRUE(status);
  EXPECT_EQ(status->leases.size(), kMaxStatusRows);
  EXPECT_EQ(status->waiting.size(), kMaxStatusRows);
  EXPECT_EQ(status->recoveries.size(), kMaxRecoveryRows);
  EXPECT_EQ(status->uncooperative.size(), kMaxRecoveryRows);
}

}  // namespace
}  // namespace tokenpool::wire
