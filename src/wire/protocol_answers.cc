// What an arbiter writes; a status is in protocol_status.cc.
#include <string>
#include <string_view>

#include "wire/protocol_codec.h"
#include "wire/protocol_writer.h"

namespace tokenpool::wire {

void append_result(std::string* out, const CallId& id, const HelloResult& result) {
  LineWriter line(out);
  line.begin_result(id).raw("{");
  line.member("session", result.session).member("server", result.server);
  line.member("protocol", kProtocolVersion).member("slots", result.slots);
  line.member("epoch", result.epoch).raw(R"(,"features":["hello","acquire","release","resize",)");
  line.raw(R"("report","cancel","status","set","subscribe"])");
  if (result.resumed) {
    line.key("resumed").raw("[");
    for (const std::uint64_t lease : *result.resumed) line.element().value(lease);
    line.raw("]");
  }
  line.raw("}").end_result();
}

void append_result(std::string* out, const CallId& id, const AcquireResult& result) {
  LineWriter line(out);
  line.begin_result(id).raw("{").member("lease", result.lease).member("slots", result.slots);
  if (result.paid != 0) line.member("paid", result.paid);
  if (result.watched) line.member("watched", *result.watched);
  line.raw("}").end_result();
}

void append_slots_result(std::string* out, const CallId& id, int slots) {
  LineWriter line(out);
  line.begin_result(id).raw("{").member("slots", slots).raw("}").end_result();
}

void append_watched_result(std::string* out, const CallId& id, std::optional<bool> watched) {
  LineWriter line(out);
  line.begin_result(id).raw("{");
  if (watched) line.member("watched", *watched);
  line.raw("}").end_result();
}

void append_cancelled_result(std::string* out, const CallId& id, bool cancelled) {
  LineWriter line(out);
  line.begin_result(id).raw("{").member("cancelled", cancelled).raw("}").end_result();
}

void append_error(std::string* out, const CallId& id, ErrorCode code, std::string_view message) {
  LineWriter line(out);
  line.raw(R"({"jsonrpc":"2.0","id":)").value(id).raw(R"(,"error":{)");
  line.member("code", static_cast<std::int32_t>(code)).member("message", message).raw("}}\n");
}

void append_event(std::string* out, const Event& event) {
  LineWriter line(out);
  line.raw(R"({"jsonrpc":"2.0","method":"event","params":{)").member("kind", event.kind);
  if (event.lease != 0) line.member("lease", event.lease);
  if (event.session != 0) line.member("session", event.session);
  if (!event.name.empty()) line.member("name", event.name);
  if (!event.target.empty()) line.member("target", event.target);
  if (!event.type.empty()) line.member("type", event.type);
  if (event.slots != 0) line.member("slots", event.slots);
  if (event.tokens != 0) line.member("tokens", event.tokens);
  if (event.pid != 0) line.member("pid", event.pid);
  if (!event.command.empty()) line.member("command", event.command);
  line.member("free", event.free);
  if (event.lost != 0) line.member("lost", event.lost);
  line.raw("}}\n");
}

void append_recall(std::string* out, std::uint64_t lease, int slots) {
  LineWriter line(out);
  line.raw(R"({"jsonrpc":"2.0","method":"recall","params":{)");
  line.member("lease", lease).member("slots", slots).raw("}}\n");
}

void append_revoke(std::string* out, std::uint64_t lease, std::string_view reason,
                   std::int64_t deadline_ms) {
  LineWriter line(out);
  line.raw(R"({"jsonrpc":"2.0","method":"revoke","params":{)").member("lease", lease);
  line.member("reason", reason).member("deadline_ms", deadline_ms).raw("}}\n");
}

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::parse_error:
      return "parse_error";
    case ErrorCode::invalid_request:
      return "invalid_request";
    case ErrorCode::method_not_found:
      return "method_not_found";
    case ErrorCode::invalid_params:
      return "invalid_params";
    case ErrorCode::internal_error:
      return "internal_error";
    case ErrorCode::not_authorized:
      return "not_authorized";
    case ErrorCode::unsupported_protocol:
      return "unsupported_protocol";
    case ErrorCode::unavailable:
      return "unavailable";
    case ErrorCode::cancelled:
      return "cancelled";
    case ErrorCode::impossible:
      return "impossible";
    case ErrorCode::no_such_lease:
      return "no_such_lease";
    case ErrorCode::too_many:
      return "too_many";
    case ErrorCode::draining:
      return "draining";
  }
  return "error";
}

}  // namespace tokenpool::wire
