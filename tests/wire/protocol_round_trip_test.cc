// What a client writes an arbiter reads as the same, and the other way round, for any values.
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "core/limits.h"
#include "session/limits.h"
#include "wire/limits.h"
#include "wire/protocol_codec.h"

namespace tokenpool::wire {
namespace {

constexpr auto kMaxNumber = static_cast<std::int64_t>(core::kMaxNumber);

template <typename T>
T number(std::int64_t low, std::int64_t high) {
  // Bounds are where mistakes are.
  const int kind = *rc::gen::inRange(0, 4);
  if (kind == 0) return static_cast<T>(low);
  if (kind == 1) return static_cast<T>(high);
  return static_cast<T>(*rc::gen::inRange<std::int64_t>(low, high));
}

bool yes() { return *rc::gen::arbitrary<bool>(); }

std::string text(std::size_t low, std::size_t high, bool with_controls = false) {
  const std::vector<std::string> pieces{"a", "Z", " ",  "\"", "\\",     "/", "\x7f",
                                        "ä", "€", "🔨", "'",  "\u2028", "{"};
  const std::size_t size =
      number<std::size_t>(static_cast<std::int64_t>(low), static_cast<std::int64_t>(high));
  std::string text;
  while (text.size() < size) {
    const std::string& piece = *rc::gen::elementOf(pieces);
    if (text.size() + piece.size() <= high) text += piece;
  }
  // In place of a whole character.
  if (with_controls && !text.empty() && static_cast<unsigned char>(text[0]) < 0x80) {
    text[0] = *rc::gen::element('\0', '\n', '\r', '\x1f');
  }
  return text;
}

std::string type() {
  const std::string letters = "abcXYZ019_.-";
  std::string type;
  for (int n = number<int>(1, kMaxTypeBytes); n > 0; --n) {
    type += letters[number<std::size_t>(0, static_cast<std::int64_t>(letters.size()) - 1)];
  }
  return type;
}

NamedProcess process() {
  return {number<std::int32_t>(1, INT32_MAX), number<std::uint64_t>(0, kMaxNumber)};
}

JobWords job() {
  JobWords job;
  if (yes()) job.type = type();
  if (yes()) job.target = text(0, kMaxTargetBytes);
  if (yes()) job.memory = number<std::uint64_t>(0, kMaxNumber);
  job.priority = number<int>(-kMaxPriority, kMaxPriority);
  if (yes()) job.process = process();
  return job;
}

CallId id() {
  if (yes()) return number<std::int64_t>(0, kMaxNumber);
  return text(1, kMaxIdBytes, yes());
}

Call hello() {
  HelloCall call;
  call.cookie = yes() ? std::string(kCookieDigits, 'f') : text(0, 100, true);
  call.name = text(1, kMaxNameBytes);
  call.process = process();
  if (yes()) call.lease = number<std::uint64_t>(1, kMaxNumber);
  call.launcher = yes();
  if (yes()) {
    call.resume.emplace();
    for (int n = *rc::gen::inRange(0, 4); n > 0; --n) {
      call.resume->push_back(
          {number<std::uint64_t>(1, kMaxNumber), number<int>(1, core::kMaxSlots), job()});
    }
  }
  return call;
}

Call acquire() {
  AcquireCall call;
  call.min = number<int>(1, core::kMaxSlots);
  call.max = number<int>(call.min, core::kMaxSlots);
  call.job = job();
  if (yes()) call.timeout_ms = number<std::int64_t>(0, kMaxTimeoutMs);
  return call;
}

Call report() {
  ReportCall call;
  call.lease = number<std::uint64_t>(1, kMaxNumber);
  if (yes()) call.process = process();
  if (yes()) call.peak_memory = number<std::uint64_t>(0, kMaxNumber);
  if (yes()) {
    call.cpu_seconds = std::ldexp(std::abs(*rc::gen::arbitrary<double>()), number<int>(-900, 900));
    if (!std::isfinite(*call.cpu_seconds)) call.cpu_seconds = 1.7976931348623157e308;
  }
  if (yes()) call.exit = number<int>(0, 255);
  return call;
}

Call set() {
  SetCall call;
  if (yes()) call.slots = number<int>(1, core::kMaxSlots);
  if (yes()) call.paused = yes();
  for (int n = *rc::gen::inRange(0, 5); n > 0; --n) {
    std::optional<int> limit;
    if (yes()) limit = number<int>(0, core::kMaxSlots);
    // The number makes each name another one.
    call.limits.emplace_back(std::to_string(n) + type().substr(0, 20), limit);
  }
  return call;
}

Call some_call() {
  switch (*rc::gen::inRange(0, 9)) {
    case 0:
      return hello();
    case 1:
      return acquire();
    case 2:
      return ReleaseCall{number<std::uint64_t>(1, kMaxNumber), number<int>(0, core::kMaxSlots)};
    case 3: {
      const int min = number<int>(1, core::kMaxSlots);
      return ResizeCall{number<std::uint64_t>(1, kMaxNumber), min,
                        number<int>(min, core::kMaxSlots)};
    }
    case 4:
      return report();
    case 5:
      return CancelCall{id()};
    case 6:
      return StatusCall{};
    case 7:
      return SubscribeCall{};
    default:
      return set();
  }
}

std::string_view line_in(const std::string& out) {
  RC_ASSERT(out.ends_with('\n'));
  RC_ASSERT(out.find('\n') == out.size() - 1);
  return std::string_view(out).substr(0, out.size() - 1);
}

TEST(ProtocolRoundTrip, Requests) {
  EXPECT_TRUE(rc::check([] {
    CallRequest request{yes() ? id() : CallId(), some_call()};
    std::string out;
    append_request(&out, request);
    const auto parsed = parse_request(line_in(out));
    if (const auto* refusal = std::get_if<Refusal>(&parsed)) RC_FAIL(refusal->message + out);
    RC_ASSERT(std::get<CallRequest>(parsed) == request);
  }));
}

TEST(ProtocolRoundTrip, AnotherProtocol) {
  EXPECT_TRUE(rc::check([] {
    HelloCall call;
    call.protocol = number<int>(INT32_MIN, INT32_MAX);
    RC_PRE(call.protocol != kProtocolVersion);
    std::string out;
    append_request(&out, {id(), call});
    const auto parsed = parse_request(line_in(out));
    RC_ASSERT(std::get<HelloCall>(std::get<CallRequest>(parsed).call) == call);
  }));
}

Answer answer_in(const std::string& out) {
  const std::optional<Answer> answer = parse_answer(line_in(out));
  RC_ASSERT(answer.has_value());
  return *answer;
}

TEST(ProtocolRoundTrip, Hello) {
  EXPECT_TRUE(rc::check([] {
    HelloResult result{number<std::uint64_t>(1, kMaxNumber), text(0, 80, yes()),
                       number<int>(1, core::kMaxSlots), text(0, 40, yes()), std::nullopt};
    if (yes()) {
      result.resumed.emplace();
      for (int n = number<int>(0, kMaxResumed); n > 0; --n) {
        result.resumed->push_back(number<std::uint64_t>(0, kMaxNumber));
      }
    }
    const CallId of = id();
    std::string out;
    append_result(&out, of, result);
    RC_ASSERT(out.size() <= kMaxLine);
    const Answer answer = answer_in(out);
    RC_ASSERT(answer.kind == Answer::Kind::result);
    RC_ASSERT(answer.id == of);
    RC_ASSERT(answer.session == result.session);
    RC_ASSERT(answer.server == result.server);
    RC_ASSERT(answer.protocol == kProtocolVersion);
    RC_ASSERT(answer.slots == result.slots);
    RC_ASSERT(answer.epoch == result.epoch);
    RC_ASSERT(answer.resumed == result.resumed.value_or(std::vector<std::uint64_t>()));
  }));
}

TEST(ProtocolRoundTrip, Acquire) {
  EXPECT_TRUE(rc::check([] {
    AcquireResult result{number<std::uint64_t>(1, kMaxNumber), number<int>(1, core::kMaxSlots),
                         number<int>(0, core::kMaxSlots), std::nullopt};
    if (yes()) result.watched = yes();
    const CallId of = id();
    std::string out;
    append_result(&out, of, result);
    const Answer answer = answer_in(out);
    RC_ASSERT(answer.id == of);
    RC_ASSERT(answer.lease == result.lease);
    RC_ASSERT(answer.slots == result.slots);
    RC_ASSERT(answer.paid == result.paid);
    RC_ASSERT(answer.watched == result.watched);
  }));
}

/// Any bytes, mostly no UTF-8.
std::string bytes(std::size_t most) {
  return *rc::gen::resize(static_cast<int>(most), rc::gen::arbitrary<std::string>());
}

TEST(ProtocolRoundTrip, AnyBytesOfAnErrorCanBeRead) {
  EXPECT_TRUE(rc::check([] {
    const std::string message = bytes(100);
    const CallId of = yes() ? id() : CallId();
    std::string out;
    append_error(&out, of, ErrorCode::unavailable, message);
    const Answer answer = answer_in(out);
    RC_ASSERT(answer.kind == Answer::Kind::error);
    RC_ASSERT(answer.id == of);
    RC_ASSERT(answer.code == ErrorCode::unavailable);
    std::string again;
    append_error(&again, of, ErrorCode::unavailable, answer.message);
    RC_ASSERT(again == out);
  }));
}

StatusRow row(bool waits) {
  StatusRow row;
  row.session = number<std::uint64_t>(1, kMaxNumber);
  row.name = text(1, kMaxNameBytes);
  row.pid = number<std::int32_t>(1, INT32_MAX);
  if (yes()) row.type = type();
  row.target = text(0, kMaxTargetBytes);
  row.priority = number<int>(-kMaxPriority, kMaxPriority);
  row.age_ms = number<std::int64_t>(0, kMaxNumber);
  if (waits) {
    row.min = number<int>(1, core::kMaxSlots);
    row.max = number<int>(1, core::kMaxSlots);
  } else {
    row.lease = number<std::uint64_t>(1, kMaxNumber);
    row.slots = number<int>(1, core::kMaxSlots);
    row.paid = number<int>(0, core::kMaxSlots);
  }
  return row;
}

StatusResult status(int rows) {
  StatusResult status;
  status.server = text(1, 40);
  status.epoch = text(1, 40);
  status.pid = number<std::int32_t>(1, INT32_MAX);
  status.uptime_ms = number<std::int64_t>(0, kMaxNumber);
  status.paused = yes();
  status.draining = yes();
  status.slots = number<int>(1, core::kMaxSlots);
  status.free = number<int>(-core::kMaxSlots, core::kMaxSlots);
  status.leased = number<int>(0, core::kMaxSlots);
  status.tokens = number<int>(0, core::kMaxSlots);
  status.implicit = number<int>(0, 1);
  if (yes()) status.range = {number<int>(1, 5), number<int>(6, 512)};
  status.leases_total = number<std::size_t>(0, session::kMaxLeases);
  status.waiting_total = number<std::size_t>(0, kMaxNumber);
  status.sessions = number<std::size_t>(0, session::kMaxSessions);
  status.counters = {number<std::uint64_t>(0, kMaxNumber), 2, 3, 4, 5, 6, 7,
                     number<std::uint64_t>(0, kMaxNumber)};
  if (yes()) status.frozen = number<int>(1, core::kMaxSlots);
  for (int i = 0; i < rows; ++i) {
    status.limits.push_back({type(), number<int>(0, core::kMaxSlots), number<int>(0, 9)});
    status.leases.push_back(row(false));
    status.waiting.push_back(row(true));
    status.recoveries.push_back({number<std::uint64_t>(1, kMaxNumber), 2, text(1, 64), 4,
                                 text(0, kMaxTargetBytes), yes() ? "session" : "process",
                                 number<std::int64_t>(0, kMaxNumber)});
    status.uncooperative.push_back({number<std::int32_t>(1, INT32_MAX), text(0, 120),
                                    number<std::int64_t>(0, kMaxNumber),
                                    number<std::int64_t>(0, kMaxNumber)});
  }
  return status;
}

StatusResult read_again(const StatusResult& status) {
  std::string out;
  append_result(&out, CallId(std::int64_t{7}), status);
  RC_ASSERT(out.size() <= kMaxLine);
  const std::optional<StatusResult> read = parse_status(answer_in(out).body);
  RC_ASSERT(read.has_value());
  return *read;
}

TEST(ProtocolRoundTrip, Status) {
  EXPECT_TRUE(rc::check([] {
    const StatusResult some = status(*rc::gen::inRange(0, 8));
    RC_ASSERT(read_again(some) == some);
  }));
}

TEST(ProtocolRoundTrip, AStatusOfManyRowsFitsIntoALine) {
  EXPECT_TRUE(rc::check([] {
    StatusResult many;
    StatusRow leased = row(false);
    leased.target = std::string(kMaxTargetBytes, *rc::gen::element('x', '"'));
    StatusRow waits = row(true);
    waits.target = leased.target;
    many.leases.assign(number<std::size_t>(0, 100), leased);
    many.waiting.assign(number<std::size_t>(0, 100), waits);
    many.recoveries.assign(20, {1, 1, "name", 1, leased.target, "process", 1});
    const StatusResult read = read_again(many);
    RC_ASSERT(read.recoveries.size() == kMaxRecoveryRows);
    RC_ASSERT(read.leases.size() <= std::min(many.leases.size(), kMaxStatusRows));
    RC_ASSERT(read.waiting.size() <= std::min(many.waiting.size(), kMaxStatusRows));
    // Half of what there may be always fits, however long the names.
    RC_ASSERT(read.leases.size() >= std::min<std::size_t>(many.leases.size(), 24));
    RC_ASSERT(read.waiting.size() >= std::min<std::size_t>(many.waiting.size(), 24));
    for (const StatusRow& row : read.leases) RC_ASSERT(row == leased);
    for (const StatusRow& row : read.waiting) RC_ASSERT(row == waits);
  }));
}

}  // namespace
}  // namespace tokenpool::wire
