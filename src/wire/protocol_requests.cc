// What an arbiter reads.
#include <algorithm>
#include <climits>
#include <string>
#include <utility>

#include "core/limits.h"
#include "wire/limits.h"
#include "wire/protocol_codec.h"
#include "wire/protocol_json.h"
#include "wire/protocol_members.h"
#include "wire/protocol_request_sink.h"

namespace tokenpool::wire {
namespace {

using Kind = JsonValue::Kind;

constexpr int kMaxExit = 255;
constexpr std::size_t kMaxEcho = 64;  ///< bytes of an unknown method that its answer repeats
constexpr std::string_view kLimitRule =
    "each a type (1 to 32 of A-Z a-z 0-9 _ . -) and a whole number from 0 to 512 or null";

// --- values ---

bool is_text(const JsonValue& value, std::string_view text) {
  return value.is(Kind::text) && value.text() == text;
}

/// Of any whole number, as far as `int` goes. Nothing: it is none.
std::optional<int> to_int(const JsonValue& value) {
  if (value.is(Kind::whole)) {
    return static_cast<int>(std::clamp<std::int64_t>(value.whole, INT_MIN, INT_MAX));
  }
  if (value.is(Kind::huge)) return value.number < 0 ? INT_MIN : INT_MAX;
  return std::nullopt;
}

void take_range(MemberReader& members, int* min, int* max) {
  members.whole(Member::min, 1, core::kMaxSlots, min);
  *max = *min;
  members.whole(Member::max, 1, core::kMaxSlots, max);
  if (*min > *max) members.fail(Member::min, "at most max");
}

template <typename T>
void take_whole(MemberReader& members, Member member, std::int64_t high, std::optional<T>* out) {
  if (!members.has(member)) return;
  members.whole(member, 0, high, &out->emplace());
}

// --- calls ---

void take(MemberReader& members, RequestSink& sink, HelloCall* call) {
  members.require(Member::protocol);
  const std::optional<int> protocol = to_int(members[Member::protocol]);
  if (!protocol) return members.fail(Member::protocol, "a whole number");
  call->protocol = *protocol;
  // Another version may know other members; it is for the session to refuse it.
  if (call->protocol != kProtocolVersion) return;

  members.require(Member::cookie);
  members.require(Member::name);
  members.require(Member::pid);
  const JsonValue& cookie = members[Member::cookie];
  if (cookie.is(Kind::text)) {
    call->cookie = cookie.text();
  } else {
    members.fail(Member::cookie, "a text");
  }
  members.text(Member::name, 1, kMaxNameBytes, &call->name);
  take_process(members, &call->process);
  members.whole(Member::lease, 1, kMaxNumber, &call->lease);
  members.boolean(Member::launcher, &call->launcher);
  if (!members.has(Member::resume)) return;
  if (!members[Member::resume].is(Kind::list)) return members.fail(Member::resume, "a list");
  members.fail_with(sink.resume.fault);
  call->resume = std::move(sink.resume.leases);
}

void take(MemberReader& members, RequestSink& /*sink*/, AcquireCall* call) {
  take_range(members, &call->min, &call->max);
  take_job(members, &call->job);
  take_whole(members, Member::timeout_ms, kMaxTimeoutMs, &call->timeout_ms);
}

void take(MemberReader& members, RequestSink& /*sink*/, ReleaseCall* call) {
  take_lease(members, &call->lease);
  members.whole(Member::slots, 1, core::kMaxSlots, &call->slots);
}

void take(MemberReader& members, RequestSink& /*sink*/, ResizeCall* call) {
  take_lease(members, &call->lease);
  members.require(Member::min);
  members.require(Member::max);
  take_range(members, &call->min, &call->max);
}

void take(MemberReader& members, RequestSink& /*sink*/, ReportCall* call) {
  take_lease(members, &call->lease);
  NamedProcess process;
  take_process(members, &process);
  if (members.has(Member::pid)) call->process = process;
  take_whole(members, Member::peak_memory, kMaxNumber, &call->peak_memory);
  if (members.has(Member::cpu_seconds)) {
    members.seconds(Member::cpu_seconds, &call->cpu_seconds.emplace());
  }
  take_whole(members, Member::exit, kMaxExit, &call->exit);
}

void take(MemberReader& members, RequestSink& /*sink*/, CancelCall* call) {
  members.require(Member::id);
  std::optional<CallId> id = to_id(members[Member::id]);
  if (!id) return members.fail(Member::id, kIdRule);
  call->id = std::move(*id);
}

void take(MemberReader& /*members*/, RequestSink& /*sink*/, StatusCall* /*call*/) {}
void take(MemberReader& /*members*/, RequestSink& /*sink*/, SubscribeCall* /*call*/) {}

void take(MemberReader& members, RequestSink& sink, SetCall* call) {
  if (members.has(Member::slots)) {
    members.whole(Member::slots, 1, core::kMaxSlots, &call->slots.emplace());
  }
  if (members.has(Member::paused)) members.boolean(Member::paused, &call->paused.emplace());
  if (members.has(Member::lease)) take_lease(members, &call->ended_lease);
  if (!members.has(Member::limits)) return;
  if (!members[Member::limits].is(Kind::object)) return members.fail(Member::limits, "an object");
  if (sink.limits.is_too_long) {
    return members.fail(Member::limits, "at most " + std::to_string(core::kMaxLimits) + " types");
  }
  for (const auto& [type, value] : sink.limits.entries) {
    const bool none = value.is(Kind::null);
    const bool right = value.is(Kind::whole) && value.whole >= 0 && value.whole <= core::kMaxSlots;
    if (!is_type(type) || (!none && !right)) return members.fail(Member::limits, kLimitRule);
    std::optional<int> limit;
    if (right) limit = static_cast<int>(value.whole);
    call->limits.emplace_back(type, limit);
  }
}

// --- the line ---

enum class Outcome : std::uint8_t { ok, no_method, wrong };

template <typename T>
Outcome take_call(RequestSink& sink, Call* call, std::string* fault) {
  MemberReader members(sink.members);
  take(members, sink, &call->emplace<T>());
  *fault = members.fault();
  return members.failed() ? Outcome::wrong : Outcome::ok;
}

Outcome take_method(RequestSink& sink, Call* call, std::string* fault) {
  using Taker = Outcome (*)(RequestSink&, Call*, std::string*);
  struct Method {
    std::string_view name;
    Taker take;
  };
  static constexpr Method kMethods[] = {
      {"acquire", take_call<AcquireCall>},     {"release", take_call<ReleaseCall>},
      {"report", take_call<ReportCall>},       {"resize", take_call<ResizeCall>},
      {"hello", take_call<HelloCall>},         {"cancel", take_call<CancelCall>},
      {"status", take_call<StatusCall>},       {"set", take_call<SetCall>},
      {"subscribe", take_call<SubscribeCall>},
  };
  for (const Method& method : kMethods) {
    if (method.name != sink.method.text()) continue;
    if (sink.params.is(Kind::missing) || sink.params.is(Kind::object)) {
      return method.take(sink, call, fault);
    }
    *fault = "params: an object";
    return Outcome::wrong;
  }
  *fault = "no such method: ";
  *fault += sink.method.text().substr(0, kMaxEcho);
  return Outcome::no_method;
}

/// Nothing: it is a request, or at least looks like one.
std::optional<std::string> check_envelope(const RequestSink& sink) {
  if (!sink.root.is(Kind::object)) return "no request: a message is one JSON object, no batch";
  if (!is_text(sink.version, "2.0")) return "no request: jsonrpc must be \"2.0\"";
  if (!sink.method.is(Kind::text)) return "no request: method must be a text";
  return std::nullopt;
}

}  // namespace

// One variable is answered on every path: a call is built in place and not moved.
std::variant<CallRequest, Refusal> parse_request(std::string_view line) {
  std::variant<CallRequest, Refusal> answer;
  CallRequest& request = std::get<CallRequest>(answer);
  JsonText text(line);
  RequestSink sink;
  if (const std::optional<JsonFault> fault = text.parse(&sink)) {
    answer = Refusal{ErrorCode::parse_error,
                     std::string(fault->what) + " at byte " + std::to_string(fault->at), CallId(),
                     false, true};
    return answer;
  }
  const bool is_notification = sink.root.is(Kind::object) && sink.id.is(Kind::missing);
  std::optional<std::string> fault = check_envelope(sink);
  if (!is_notification) {
    std::optional<CallId> id = to_id(sink.id);
    if (id) {
      request.id = std::move(*id);
    } else if (!fault) {
      fault = "no request: id: " + std::string(kIdRule);
    }
  }
  if (fault) {
    CallId id = std::move(request.id);
    answer = Refusal{ErrorCode::invalid_request, std::move(*fault), std::move(id), false, true};
    return answer;
  }
  std::string wrong;
  const Outcome outcome = take_method(sink, &request.call, &wrong);
  if (outcome == Outcome::ok) return answer;
  CallId id = std::move(request.id);
  answer =
      Refusal{outcome == Outcome::wrong ? ErrorCode::invalid_params : ErrorCode::method_not_found,
              std::move(wrong), std::move(id), is_notification, false};
  return answer;
}

}  // namespace tokenpool::wire
