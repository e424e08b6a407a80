// What an arbiter reads: the envelope, each member at its bounds and one beyond, and how a refusal
// is to be answered.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "core/limits.h"
#include "wire/limits.h"
#include "wire/protocol_codec.h"

namespace tokenpool::wire {
namespace {

const CallId kSeven = std::int64_t{7};

std::string request(std::string_view method, std::string_view params) {
  return R"({"jsonrpc":"2.0","id":7,"method":")" + std::string(method) + R"(","params":)" +
         std::string(params) + "}";
}

template <typename T>
T read(const std::string& line) {
  const auto parsed = parse_request(line);
  if (const auto* refusal = std::get_if<Refusal>(&parsed)) {
    ADD_FAILURE() << line << ": " << refusal->message;
    return {};
  }
  const CallRequest& request = std::get<CallRequest>(parsed);
  EXPECT_EQ(request.id, kSeven) << line;
  EXPECT_TRUE(std::holds_alternative<T>(request.call)) << line;
  const T* call = std::get_if<T>(&request.call);
  return call == nullptr ? T() : *call;
}

Refusal refusal(const std::string& line) {
  const auto parsed = parse_request(line);
  const auto* refusal = std::get_if<Refusal>(&parsed);
  if (refusal == nullptr) {
    ADD_FAILURE() << line << " was not refused";
    return {};
  }
  return *refusal;
}

/// Refused for that member, with the id of the request.
void expect_wrong(std::string_view method, std::string_view params, const std::string& message) {
  const Refusal expected{ErrorCode::invalid_params, message, kSeven, false, false};
  const Refusal found = refusal(request(method, params));
  EXPECT_EQ(found.message, message) << params;
  EXPECT_EQ(found, expected) << params;
}

/// `before` VALUE `after` is taken at both bounds and refused one beyond each.
template <typename T>
void expect_bounds(std::string_view method, const std::string& before, std::string_view member,
                   std::int64_t low, std::int64_t high, const std::string& after = "") {
  const auto params = [&](const std::string& value) {
    return "{" + before + "\"" + std::string(member) + "\":" + value + after + "}";
  };
  read<T>(request(method, params(std::to_string(low))));
  read<T>(request(method, params(std::to_string(high))));
  const std::string rule = std::string(member) + ": a whole number from " + std::to_string(low) +
                           " to " + std::to_string(high);
  for (const std::string& value :
       {std::to_string(low - 1), std::to_string(high + 1), std::string("-0"), std::string("1.0"),
        std::string("1e2"), std::string("1.5"), std::string("1e308"),
        std::string("18446744073709551617"), std::string("-9223372036854775809"),
        std::string("null"), std::string("true"), std::string("\"1\""), std::string("[1]"),
        std::string("{}")}) {
    expect_wrong(method, params(value), rule);
  }
}

constexpr auto kMaxNumber = static_cast<std::int64_t>(core::kMaxNumber);

// --- the envelope ---

TEST(ProtocolEnvelope, ParamsMayComeFirst) {
  const AcquireCall call = read<AcquireCall>(
      R"({"params":{"max":3,"min":2},"method":"acquire","id":7,"jsonrpc":"2.0"})");
  EXPECT_EQ(call.min, 2);
  EXPECT_EQ(call.max, 3);
}

TEST(ProtocolEnvelope, UnknownMembersAreIgnoredAtAnyDepth) {
  const AcquireCall call = read<AcquireCall>(
      R"({"x":{"id":8,"method":"set"},"jsonrpc":"2.0","id":7,"method":"acquire","params":)"
      R"({"y":[{"min":0}],"min":2,"z":{"min":0,"params":{"min":0}},"limits":{"min":0},)"
      R"("resume":[{"min":0}],"limit":[]}})");
  EXPECT_EQ(call.min, 2);
}

TEST(ProtocolEnvelope, TheLastOfTwoCounts) {
  EXPECT_EQ(read<AcquireCall>(request("acquire", R"({"min":0,"min":[],"min":2})")).min, 2);
  expect_wrong("acquire", R"({"min":2,"min":0})", "min: a whole number from 1 to 512");
  const AcquireCall call = read<AcquireCall>(
      R"({"jsonrpc":"1.0","id":8,"method":"set","params":{"min":9,"type":"a","timeout_ms":5},)"
      R"("jsonrpc":"2.0","id":7,"method":"acquire","params":{"max":4}})");
  EXPECT_EQ(call, (AcquireCall{1, 4, {}, {}}));
  EXPECT_EQ(refusal(R"({"jsonrpc":"2.0","id":7,"method":"acquire","params":{},"params":1})").code,
            ErrorCode::invalid_params);
}

TEST(ProtocolEnvelope, NamesMayBeEscaped) {
  EXPECT_EQ(read<AcquireCall>(request("acq\\u0075ire", R"({"m\u0069n":2})")).min, 2);
}

TEST(ProtocolEnvelope, ANotificationIsRefusedInSilence) {
  for (const std::string params : {R"({"min":0})", "[]", "null"}) {
    const Refusal found =
        refusal(R"({"jsonrpc":"2.0","method":"acquire","params":)" + params + "}");
    EXPECT_TRUE(found.silent);
    EXPECT_FALSE(found.garbage);
    EXPECT_EQ(found.id, CallId());
  }
  EXPECT_TRUE(refusal(R"({"jsonrpc":"2.0","method":"other"})").silent);
}

TEST(ProtocolEnvelope, WhatIsNoRequestIsAnsweredAllTheSame) {
  for (const std::string line :
       {"{}", "[]", "1", "null", R"({"jsonrpc":"2.0"})", R"({"method":"status"})",
        R"([{"jsonrpc":"2.0"}])", R"({"jsonrpc":2.0,"method":"status"})"}) {
    const Refusal found = refusal(line);
    EXPECT_EQ(found.code, ErrorCode::invalid_request) << line;
    EXPECT_FALSE(found.silent) << line;
    EXPECT_TRUE(found.garbage) << line;
    EXPECT_EQ(found.id, CallId()) << line;
  }
  EXPECT_EQ(refusal(R"({"id":7,"method":"status"})").id, kSeven);
  EXPECT_EQ(refusal(R"({"jsonrpc":"2.0","id":"a"})").id, CallId("a"));
}

std::string with_id(const std::string& id) {
  return R"({"jsonrpc":"2.0","id":)" + id + R"(,"method":"status"})";
}

TEST(ProtocolEnvelope, Ids) {
  for (const std::int64_t id : {std::int64_t{0}, std::int64_t{1}, kMaxNumber}) {
    const auto parsed = parse_request(with_id(std::to_string(id)));
    EXPECT_EQ(std::get<CallRequest>(parsed).id, CallId(id));
  }
  for (const std::string& id : {std::string("a"), std::string(kMaxIdBytes, 'x')}) {
    const auto parsed = parse_request(with_id('"' + id + '"'));
    EXPECT_EQ(std::get<CallRequest>(parsed).id, CallId(id));
  }
  const std::string too_long = '"' + std::string(kMaxIdBytes + 1, 'x') + '"';
  for (const std::string& id :
       {std::string("-1"), std::string("-0"), std::string("1.0"), std::string("1e2"),
        std::to_string(kMaxNumber + 1), std::string("18446744073709551616"), std::string("\"\""),
        too_long, std::string("null"), std::string("true"), std::string("[]"), std::string("{}")}) {
    const Refusal found = refusal(with_id(id));
    EXPECT_EQ(found.code, ErrorCode::invalid_request) << id;
    EXPECT_EQ(found.id, CallId()) << id;
    EXPECT_FALSE(found.silent) << id;
  }
}

TEST(ProtocolEnvelope, AnUnknownMethodIsNamed) {
  EXPECT_EQ(
      refusal(request("frobnicate", "[]")),
      (Refusal{ErrorCode::method_not_found, "no such method: frobnicate", kSeven, false, false}));
  // However long its name is.
  EXPECT_LT(refusal(request(std::string(60000, 'x'), "{}")).message.size(), 100U);
}

TEST(ProtocolEnvelope, ParamsAreAnObjectOrMissing) {
  for (const std::string params : {"[]", "null", "1", "\"x\"", "true"}) {
    expect_wrong("status", params, "params: an object");
  }
  EXPECT_EQ(read<AcquireCall>(R"({"jsonrpc":"2.0","id":7,"method":"acquire"})"), AcquireCall());
}

// --- JSON ---

void expect_parse_error(const std::string& line) {
  const Refusal found = refusal(line);
  EXPECT_EQ(found.code, ErrorCode::parse_error) << line;
  EXPECT_EQ(found.id, CallId()) << line;
  EXPECT_TRUE(found.garbage) << line;
  EXPECT_FALSE(found.silent) << line;
}

TEST(ProtocolJson, WhatIsNone) {
  const std::string good = request("status", "{}");
  for (std::size_t size = 0; size < good.size(); ++size) expect_parse_error(good.substr(0, size));
  for (const std::string tail : {"x", "{}", ",", "]", "}", "1"}) expect_parse_error(good + tail);
  expect_parse_error(good + '\0');
  expect_parse_error('\0' + good);
  EXPECT_EQ(parse_request(" \t\r" + good + " \r").index(), 0U);
}

TEST(ProtocolJson, TheMessageSaysWhere) {
  EXPECT_EQ(refusal("{\"a\":1").message, "no JSON at byte 6");
  EXPECT_EQ(refusal("{\"a\":\"\xFF\"}").message, "no UTF-8 at byte 6");
}

TEST(ProtocolJson, HalvesOfSurrogatePairs) {
  for (const std::string half :
       {R"(\ud800)", R"(\udbff)", R"(\udc00)", R"(\udfff)", R"(\ud800\u0041)", R"(a\udc00\ud800)",
        "\xED\xA0\x80", "\xED\xBF\xBF"}) {
    expect_parse_error(request("acquire", R"({"target":")" + half + R"("})"));
    expect_parse_error(request("acquire", R"({")" + half + R"(":1})"));
    expect_parse_error(request("acquire", R"({"x":[")" + half + R"("]})"));
  }
  EXPECT_EQ(
      read<AcquireCall>(request("acquire", R"({"target":"\ud83d\udd17\ud7ff\ue000"})")).job.target,
      "\U0001F517\uD7FF\uE000");
}

TEST(ProtocolJson, Depth) {
  const auto nested = [](int depth) {
    const auto lists = static_cast<std::size_t>(depth - 2);
    return request("status", "{\"x\":" + std::string(lists, '[') + std::string(lists, ']') + "}");
  };
  read<StatusCall>(nested(kMaxDepth));
  expect_parse_error(nested(kMaxDepth + 1));
  expect_parse_error(std::string(60000, '['));
  std::string objects;
  for (int i = 0; i < 10000; ++i) objects += "{\"a\":";
  expect_parse_error(objects);
}

TEST(ProtocolJson, NumbersBeyondADouble) {
  for (const std::string number : {"1e400", "-1e400", "1e309", "1.8e308", "17.9e308", "-1.8e308"}) {
    expect_parse_error(request("report", R"({"lease":1,"cpu_seconds":)" + number + "}"));
    expect_parse_error(request("status", R"({"x":)" + number + "}"));
  }
  for (const std::string number : {"1e-400", "0.0001e-330", "1e-99999999999999999999"}) {
    const ReportCall call =
        read<ReportCall>(request("report", R"({"lease":1,"cpu_seconds":)" + number + "}"));
    EXPECT_EQ(call.cpu_seconds, 0.0) << number;
  }
}

TEST(ProtocolJson, ALineMayBeLongerThanTheFramingLets) {
  const std::string pad(200'000, 'x');
  read<StatusCall>(request("status", R"({"x":")" + pad + R"("})"));
  expect_wrong("acquire", R"({"target":")" + pad + R"("})",
               "target: a text of 0 to 256 bytes without control characters");
}

// --- calls ---

const std::string kHello = R"("protocol":1,"cookie":"c","name":"n","pid":5)";

TEST(ProtocolHello, AllMembers) {
  const HelloCall call = read<HelloCall>(request(
      "hello", R"({"protocol":1,"cookie":"ab\u0000","name":"make","pid":5,"start":6,"lease":7,)"
               R"("launcher":true,"resume":[{"lease":8,"slots":2,"type":"link","target":"a",)"
               R"("memory":3,"priority":-4,"pid":9,"start":10,"x":{}},{"slots":1,"lease":11}]})"));
  HelloCall expected;
  expected.cookie = std::string("ab\0", 3);
  expected.name = "make";
  expected.process = {5, 6};
  expected.lease = 7;
  expected.launcher = true;
  expected.resume = {{8, 2, {"link", "a", 3, -4, NamedProcess{9, 10}}}, {11, 1, {}}};
  EXPECT_EQ(call, expected);
}

TEST(ProtocolHello, RequiredMembers) {
  expect_wrong("hello", "{}", "protocol: is missing");
  expect_wrong("hello", R"({"protocol":1})", "cookie: is missing");
  expect_wrong("hello", R"({"protocol":1,"cookie":""})", "name: is missing");
  expect_wrong("hello", R"({"protocol":1,"cookie":"","name":"n"})", "pid: is missing");
  expect_wrong("hello", R"({"protocol":1,"cookie":5,"name":"n","pid":1})", "cookie: a text");
  for (const std::string protocol : {"1.0", "\"1\"", "null", "-0", "[]"}) {
    expect_wrong("hello", "{\"protocol\":" + protocol + "}", "protocol: a whole number");
  }
}

TEST(ProtocolHello, AnotherProtocolGetsThroughWhateverTheRest) {
  const auto protocol_of = [](const std::string& params) {
    HelloCall call = read<HelloCall>(request("hello", params));
    const int protocol = call.protocol;
    call.protocol = kProtocolVersion;
    EXPECT_EQ(call, HelloCall());
    return protocol;
  };
  EXPECT_EQ(protocol_of(R"({"protocol":2})"), 2);
  EXPECT_EQ(protocol_of(R"({"name":7,"cookie":[],"resume":[1],"protocol":0})"), 0);
  EXPECT_EQ(protocol_of(R"({"protocol":-1,"pid":0})"), -1);
  EXPECT_EQ(protocol_of(R"({"protocol":4294967297})"), INT32_MAX);
  EXPECT_EQ(protocol_of(R"({"protocol":-4294967297})"), INT32_MIN);
  EXPECT_EQ(protocol_of(R"({"protocol":18446744073709551617})"), INT32_MAX);
  EXPECT_EQ(protocol_of(R"({"protocol":-18446744073709551617})"), INT32_MIN);
}

TEST(ProtocolHello, Bounds) {
  const std::string before = R"("protocol":1,"cookie":"c","name":"n",)";
  expect_bounds<HelloCall>("hello", before, "pid", 1, INT32_MAX);
  expect_bounds<HelloCall>("hello", kHello + ",", "start", 0, kMaxNumber);
  expect_bounds<HelloCall>("hello", kHello + ",", "lease", 1, kMaxNumber);
  const std::string launcher = "{" + kHello + ",\"launcher\":";
  for (const std::string value : {"1", "null", "\"true\"", "[]"}) {
    expect_wrong("hello", launcher + value + "}", "launcher: true or false");
  }
}

TEST(ProtocolHello, Names) {
  const auto named = [](const std::string& name) {
    return R"({"protocol":1,"cookie":"c","pid":5,"name":")" + name + R"("})";
  };
  const std::string rule = "name: a text of 1 to 64 bytes without control characters";
  EXPECT_EQ(read<HelloCall>(request("hello", named("x"))).name, "x");
  const std::string longest(kMaxNameBytes, 'x');
  EXPECT_EQ(read<HelloCall>(request("hello", named(longest))).name, longest);
  expect_wrong("hello", named(""), rule);
  expect_wrong("hello", named(longest + "x"), rule);
  expect_wrong("hello", named(R"(a\u0000)"), rule);
  expect_wrong("hello", named(R"(\n)"), rule);
  expect_wrong("hello", named(R"(\u001f)"), rule);
  EXPECT_EQ(read<HelloCall>(request("hello", named(R"(\u0020\u007f)"))).name, " \x7f");
}

std::string resume(const std::string& list) { return "{" + kHello + ",\"resume\":" + list + "}"; }

TEST(ProtocolHello, Resume) {
  EXPECT_EQ(read<HelloCall>(request("hello", "{" + kHello + "}")).resume, std::nullopt);
  EXPECT_TRUE(read<HelloCall>(request("hello", resume("[]"))).resume->empty());
  for (const std::string value : {"null", "1", "{}", "\"\"", "true"}) {
    expect_wrong("hello", resume(value), "resume: a list");
  }
  for (const std::string entry :
       {"1", "null", "\"x\"", "[]", "[{\"lease\":1,\"slots\":1}]", "{}"}) {
    expect_wrong("hello", resume(R"([{"lease":1,"slots":1},)" + entry + "]"),
                 "resume[1].lease: is missing");
  }
  expect_wrong("hello", resume(R"([{"lease":1}])"), "resume[0].slots: is missing");
  expect_wrong("hello", resume(R"([{"lease":1,"slots":513}])"),
               "resume[0].slots: a whole number from 1 to 512");
  expect_wrong("hello", resume(R"([{"lease":0,"slots":1},{"lease":1,"slots":1}])"),
               "resume[0].lease: a whole number from 1 to 9007199254740991");
  expect_wrong("hello", resume(R"([{"lease":1,"slots":1,"type":""}])"),
               "resume[0].type: 1 to 32 of A-Z a-z 0-9 _ . -");
  // The last of two lists counts.
  EXPECT_EQ(read<HelloCall>(request("hello", R"({"resume":[{}],"resume":[{"lease":2,"slots":3}],)" +
                                                 kHello + "}"))
                .resume,
            (std::vector<ResumedLease>{{2, 3, {}}}));
}

TEST(ProtocolHello, AtMost512AreResumed) {
  const auto list = [](std::size_t count) {
    std::string list = "[";
    for (std::size_t i = 1; i <= count; ++i) {
      list += (i > 1 ? R"(,{"lease":)" : R"({"lease":)") + std::to_string(i) + R"(,"slots":1})";
    }
    return list + "]";
  };
  const auto call = read<HelloCall>(request("hello", resume(list(kMaxResumed))));
  EXPECT_EQ(call.resume->size(), kMaxResumed);
  expect_wrong("hello", resume(list(kMaxResumed + 1)), "resume: at most 512 leases");
}

TEST(ProtocolAcquire, Defaults) {
  EXPECT_EQ(read<AcquireCall>(request("acquire", "{}")), AcquireCall());
  EXPECT_EQ(read<AcquireCall>(request("acquire", R"({"min":3})")), (AcquireCall{3, 3, {}, {}}));
  EXPECT_EQ(read<AcquireCall>(request("acquire", R"({"max":3})")), (AcquireCall{1, 3, {}, {}}));
}

TEST(ProtocolAcquire, AllMembers) {
  const AcquireCall call = read<AcquireCall>(request(
      "acquire", R"({"min":2,"max":4,"type":"link","target":"ä","memory":5,"priority":-6,"pid":7,)"
                 R"("start":8,"timeout_ms":0})"));
  EXPECT_EQ(call, (AcquireCall{2, 4, {"link", "ä", 5, -6, NamedProcess{7, 8}}, 0}));
  // A pid without start is allowed, a start without pid names nobody.
  EXPECT_EQ(read<AcquireCall>(request("acquire", R"({"pid":7})")).job.process,
            (NamedProcess{7, 0}));
  EXPECT_EQ(read<AcquireCall>(request("acquire", R"({"start":7})")).job.process, std::nullopt);
}

TEST(ProtocolAcquire, Bounds) {
  expect_bounds<AcquireCall>("acquire", R"("max":512,)", "min", 1, core::kMaxSlots);
  expect_bounds<AcquireCall>("acquire", "", "max", 1, core::kMaxSlots);
  expect_bounds<AcquireCall>("acquire", "", "memory", 0, kMaxNumber);
  expect_bounds<AcquireCall>("acquire", "", "priority", -100, 100);
  expect_bounds<AcquireCall>("acquire", "", "pid", 1, INT32_MAX);
  expect_bounds<AcquireCall>("acquire", R"("pid":1,)", "start", 0, kMaxNumber);
  expect_bounds<AcquireCall>("acquire", "", "timeout_ms", 0, 86'400'000);
  expect_wrong("acquire", R"({"min":3,"max":2})", "min: at most max");
}

TEST(ProtocolAcquire, Types) {
  const auto typed = [](const std::string& type) { return R"({"type":")" + type + R"("})"; };
  for (const std::string& type :
       {std::string("x"), std::string("AZaz09_.-"), std::string(kMaxTypeBytes, 't')}) {
    EXPECT_EQ(read<AcquireCall>(request("acquire", typed(type))).job.type, type);
  }
  for (const std::string& type :
       {std::string(), std::string("a b"), std::string("a/b"), std::string("ä"),
        std::string(R"(a\u0000)"), std::string("@"), std::string("["), std::string("`"),
        std::string("{x"), std::string(kMaxTypeBytes + 1, 't')}) {
    expect_wrong("acquire", typed(type), "type: 1 to 32 of A-Z a-z 0-9 _ . -");
  }
}

TEST(ProtocolAcquire, Targets) {
  const auto aimed = [](const std::string& target) { return R"({"target":")" + target + R"("})"; };
  const std::string rule = "target: a text of 0 to 256 bytes without control characters";
  const std::string longest(kMaxTargetBytes, 't');
  EXPECT_EQ(read<AcquireCall>(request("acquire", aimed(longest))).job.target, longest);
  EXPECT_EQ(read<AcquireCall>(request("acquire", aimed(R"(\"\\\/\u00e9)"))).job.target, "\"\\/é");
  expect_wrong("acquire", aimed(longest + "t"), rule);
  expect_wrong("acquire", aimed(R"(\u0000)"), rule);
  expect_wrong("acquire", aimed(R"(a\tb)"), rule);
  expect_wrong("acquire", R"({"target":1})", rule);
}

TEST(ProtocolRelease, Members) {
  EXPECT_EQ(read<ReleaseCall>(request("release", R"({"lease":5})")), (ReleaseCall{5, 0}));
  EXPECT_EQ(read<ReleaseCall>(request("release", R"({"lease":5,"slots":2})")), (ReleaseCall{5, 2}));
  expect_wrong("release", "{}", "lease: is missing");
  expect_bounds<ReleaseCall>("release", "", "lease", 1, kMaxNumber);
  expect_bounds<ReleaseCall>("release", R"("lease":1,)", "slots", 1, core::kMaxSlots);
}

TEST(ProtocolResize, Members) {
  EXPECT_EQ(read<ResizeCall>(request("resize", R"({"lease":5,"min":2,"max":3})")),
            (ResizeCall{5, 2, 3}));
  expect_wrong("resize", R"({"min":2,"max":3})", "lease: is missing");
  expect_wrong("resize", R"({"lease":5,"max":3})", "min: is missing");
  expect_wrong("resize", R"({"lease":5,"min":3})", "max: is missing");
  expect_wrong("resize", R"({"lease":5,"min":3,"max":2})", "min: at most max");
  expect_bounds<ResizeCall>("resize", R"("min":1,"max":1,)", "lease", 1, kMaxNumber);
  expect_bounds<ResizeCall>("resize", R"("lease":1,"max":512,)", "min", 1, core::kMaxSlots);
  expect_bounds<ResizeCall>("resize", R"("lease":1,"min":1,)", "max", 1, core::kMaxSlots);
}

TEST(ProtocolReport, Members) {
  const ReportCall call = read<ReportCall>(
      request("report",
              R"({"lease":5,"pid":6,"start":7,"peak_memory":8,"cpu_seconds":1.25e-1,"exit":255})"));
  EXPECT_EQ(call, (ReportCall{5, NamedProcess{6, 7}, 8, 0.125, 255}));
  EXPECT_EQ(read<ReportCall>(request("report", R"({"lease":5})")), (ReportCall{5, {}, {}, {}, {}}));
  expect_wrong("report", "{}", "lease: is missing");
  expect_bounds<ReportCall>("report", "", "lease", 1, kMaxNumber);
  expect_bounds<ReportCall>("report", R"("lease":1,)", "pid", 1, INT32_MAX);
  expect_bounds<ReportCall>("report", R"("lease":1,"pid":1,)", "start", 0, kMaxNumber);
  expect_bounds<ReportCall>("report", R"("lease":1,)", "peak_memory", 0, kMaxNumber);
  expect_bounds<ReportCall>("report", R"("lease":1,)", "exit", 0, 255);
}

TEST(ProtocolReport, CpuSecondsAreAnyNumberFromZero) {
  const auto used = [](const std::string& value) {
    return R"({"lease":5,"cpu_seconds":)" + value + "}";
  };
  const auto seconds = [&](const std::string& value) {
    return read<ReportCall>(request("report", used(value))).cpu_seconds;
  };
  EXPECT_EQ(seconds("0"), 0.0);
  EXPECT_EQ(seconds("-0"), 0.0);
  EXPECT_EQ(seconds("3"), 3.0);
  EXPECT_EQ(seconds("0.1"), 0.1);
  EXPECT_EQ(seconds("18446744073709551616"), 18446744073709551616.0);
  EXPECT_EQ(seconds("1.7976931348623157e308"), 1.7976931348623157e308);
  for (const std::string value :
       {"-1", "-0.001", "-18446744073709551616", "\"1\"", "null", "[]", "true"}) {
    expect_wrong("report", used(value), "cpu_seconds: a number, 0 or more");
  }
}

TEST(ProtocolCancel, Ids) {
  EXPECT_EQ(read<CancelCall>(request("cancel", R"({"id":0})")).id, CallId(std::int64_t{0}));
  EXPECT_EQ(read<CancelCall>(request("cancel", R"({"id":"a"})")).id, CallId("a"));
  expect_wrong("cancel", "{}", "id: is missing");
  const std::string rule =
      "id: a whole number from 0 to 9007199254740991 or a text of 1 to 64 bytes";
  for (const std::string id : {"null", "-1", "1.0", "9007199254740992", "\"\"", "[]", "true"}) {
    expect_wrong("cancel", "{\"id\":" + id + "}", rule);
  }
}

TEST(ProtocolSet, Members) {
  EXPECT_EQ(read<SetCall>(request("set", "{}")), SetCall());
  EXPECT_EQ(read<SetCall>(request("set", R"({"slots":2,"paused":false,"limits":{}})")),
            (SetCall{2, {}, false}));
  const SetCall call =
      read<SetCall>(request("set", R"({"limits":{"a":0,"b":null,"c":512,"a":1}})"));
  EXPECT_EQ(call, (SetCall{{}, {{"a", 1}, {"b", std::nullopt}, {"c", 512}}, {}}));
  EXPECT_EQ(read<SetCall>(request("set", R"({"lease":7})")).ended_lease, 7U);
  expect_bounds<SetCall>("set", "", "lease", 1, core::kMaxNumber);
  expect_bounds<SetCall>("set", "", "slots", 1, core::kMaxSlots);
  for (const std::string value : {"1", "null", "\"\""}) {
    expect_wrong("set", "{\"paused\":" + value + "}", "paused: true or false");
  }
  for (const std::string value : {"1", "null", "\"\"", "[]"}) {
    expect_wrong("set", "{\"limits\":" + value + "}", "limits: an object");
  }
}

TEST(ProtocolSet, Limits) {
  const std::string rule =
      "limits: each a type (1 to 32 of A-Z a-z 0-9 _ . -) and a whole number from 0 to 512 or "
      "null";
  for (const std::string entry :
       {R"("a":-1)", R"("a":513)", R"("a":-0)", R"("a":1.0)", R"("a":"1")", R"("a":true)",
        R"("a":[])", R"("a":{})", R"("":1)", R"("a b":1)", R"("a":1,"a":{})"}) {
    expect_wrong("set", R"({"limits":{"ok":1,)" + entry + "}}", rule);
  }
  const auto many = [](std::size_t count) {
    std::string limits = R"({"limits":{)";
    for (std::size_t i = 0; i < count; ++i) {
      limits += (i > 0 ? ",\"t" : "\"t") + std::to_string(i) + "\":1";
    }
    return limits + "}}";
  };
  EXPECT_EQ(read<SetCall>(request("set", many(core::kMaxLimits))).limits.size(), core::kMaxLimits);
  expect_wrong("set", many(core::kMaxLimits + 1), "limits: at most 64 types");
}

TEST(ProtocolCalls, WithoutMembers) {
  read<StatusCall>(request("status", R"({"x":1})"));
  read<SubscribeCall>(request("subscribe", "{}"));
}

}  // namespace
}  // namespace tokenpool::wire
