// What a client writes.
#include <cmath>
#include <string>
#include <variant>

#include "wire/protocol_codec.h"
#include "wire/protocol_writer.h"

namespace tokenpool::wire {
namespace {

void write(LineWriter& line, const NamedProcess& process) {
  line.member("pid", process.pid);
  if (process.start != 0) line.member("start", process.start);
}

void write(LineWriter& line, const JobWords& job) {
  if (!job.type.empty()) line.member("type", job.type);
  if (!job.target.empty()) line.member("target", job.target);
  if (job.memory != 0) line.member("memory", job.memory);
  if (job.priority != 0) line.member("priority", job.priority);
  if (job.process) write(line, *job.process);
}

std::string_view method_of(const HelloCall& /*call*/) { return "hello"; }
std::string_view method_of(const AcquireCall& /*call*/) { return "acquire"; }
std::string_view method_of(const ReleaseCall& /*call*/) { return "release"; }
std::string_view method_of(const ResizeCall& /*call*/) { return "resize"; }
std::string_view method_of(const ReportCall& /*call*/) { return "report"; }
std::string_view method_of(const CancelCall& /*call*/) { return "cancel"; }
std::string_view method_of(const StatusCall& /*call*/) { return "status"; }
std::string_view method_of(const SubscribeCall& /*call*/) { return "subscribe"; }
std::string_view method_of(const SetCall& /*call*/) { return "set"; }

void write(LineWriter& line, const HelloCall& call) {
  line.member("protocol", call.protocol).member("cookie", call.cookie);
  line.member("name", call.name);
  write(line, call.process);
  if (call.lease != 0) line.member("lease", call.lease);
  if (call.launcher) line.member("launcher", true);
  if (!call.resume) return;
  line.key("resume").raw("[");
  for (const ResumedLease& lease : *call.resume) {
    line.element().raw("{").member("lease", lease.lease).member("slots", lease.slots);
    write(line, lease.job);
    line.raw("}");
  }
  line.raw("]");
}

void write(LineWriter& line, const AcquireCall& call) {
  if (call.min != 1) line.member("min", call.min);
  if (call.max != call.min) line.member("max", call.max);
  write(line, call.job);
  if (call.timeout_ms) line.member("timeout_ms", *call.timeout_ms);
}

void write(LineWriter& line, const ReleaseCall& call) {
  line.member("lease", call.lease);
  if (call.slots != 0) line.member("slots", call.slots);
}

void write(LineWriter& line, const ResizeCall& call) {
  line.member("lease", call.lease).member("min", call.min).member("max", call.max);
}

void write(LineWriter& line, const ReportCall& call) {
  line.member("lease", call.lease);
  if (call.process) write(line, *call.process);
  if (call.peak_memory) line.member("peak_memory", *call.peak_memory);
  // JSON has no infinity.
  if (call.cpu_seconds && std::isfinite(*call.cpu_seconds)) {
    line.member("cpu_seconds", *call.cpu_seconds);
  }
  if (call.exit) line.member("exit", *call.exit);
}

void write(LineWriter& line, const CancelCall& call) { line.member("id", call.id); }
void write(LineWriter& /*line*/, const StatusCall& /*call*/) {}
void write(LineWriter& /*line*/, const SubscribeCall& /*call*/) {}

void write(LineWriter& line, const SetCall& call) {
  if (call.slots) line.member("slots", *call.slots);
  if (!call.limits.empty()) {
    line.key("limits").raw("{");
    for (const auto& [type, limit] : call.limits) {
      // Written as a text: what a caller has set may be anything.
      line.element().value(type).raw(":");
      if (limit) {
        line.value(*limit);
      } else {
        line.raw("null");
      }
    }
    line.raw("}");
  }
  if (call.paused) line.member("paused", *call.paused);
  if (call.ended_lease != 0) line.member("lease", call.ended_lease);
}

}  // namespace

void append_request(std::string* out, const CallRequest& request) {
  LineWriter line(out);
  line.raw(R"({"jsonrpc":"2.0")");
  if (!std::holds_alternative<std::monostate>(request.id)) line.member("id", request.id);
  std::visit(
      [&](const auto& call) {
        line.member("method", method_of(call));
        const std::size_t before = line.size();
        line.key("params").raw("{");
        const std::size_t empty = line.size();
        write(line, call);
        if (line.size() == empty) {
          line.truncate(before);
        } else {
          line.raw("}");
        }
      },
      request.call);
  line.raw("}\n");
}

}  // namespace tokenpool::wire
