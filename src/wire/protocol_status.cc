// A status, as an arbiter writes it.
#include <algorithm>
#include <string>
#include <vector>

#include "wire/limits.h"
#include "wire/protocol_codec.h"
#include "wire/protocol_writer.h"

namespace tokenpool::wire {
namespace {

/// What ends a line behind its last row.
constexpr std::size_t kEnd = 16;

void write_limits(LineWriter& line, const std::vector<LimitUse>& limits) {
  line.key("limits").raw("[");
  for (const LimitUse& limit : limits) {
    line.element().raw("{").member("type", limit.type).member("limit", limit.limit);
    line.member("used", limit.used).raw("}");
  }
  line.raw("]");
}

void write_counters(LineWriter& line, const StatusCounters& counters) {
  line.key("counters").raw("{");
  line.member("granted", counters.granted).member("released", counters.released);
  line.member("recovered", counters.recovered).member("timed_out", counters.timed_out);
  line.member("cancelled", counters.cancelled).member("refused", counters.refused);
  line.member("unauthorized", counters.unauthorized).member("resumed", counters.resumed);
  line.raw("}");
}

void write_recoveries(LineWriter& line, const std::vector<RecoveryRow>& rows) {
  line.key("recoveries").raw("[");
  for (std::size_t i = 0; i < std::min(rows.size(), kMaxRecoveryRows); ++i) {
    const RecoveryRow& row = rows[i];
    line.element().raw("{").member("lease", row.lease).member("slots", row.slots);
    line.member("name", row.name).member("pid", row.pid).member("target", row.target);
    line.member("cause", row.cause).member("ago_ms", row.ago_ms).raw("}");
  }
  line.raw("]");
}

void write_uncooperative(LineWriter& line, const std::vector<UncooperativeRow>& rows) {
  line.key("uncooperative").raw("[");
  for (std::size_t i = 0; i < std::min(rows.size(), kMaxRecoveryRows); ++i) {
    const UncooperativeRow& row = rows[i];
    line.element().raw("{").member("pid", row.pid).member("command", row.command);
    line.member("millicores", row.millicores).member("since_ms", row.since_ms).raw("}");
  }
  line.raw("]");
}

void write_run(LineWriter& line, const RunStatus& run) {
  line.key("run").raw("{").member("command", run.command).member("folder", run.folder);
  if (run.pid != 0) line.member("pid", run.pid);
  line.member("age_ms", run.age_ms);
  line.member("over", run.over).member("tracking", run.tracking).member("waiting", run.waiting);
  line.member("taken", run.taken).member("returned", run.returned);
  line.member("recovered", run.recovered).member("refused", run.refused);
  line.member("minted", run.minted).raw("}");
}

void write_holders(LineWriter& line, const std::vector<HolderRow>& rows) {
  line.key("holders").raw("[");
  for (std::size_t i = 0; i < std::min(rows.size(), kMaxHolderRows); ++i) {
    const HolderRow& row = rows[i];
    line.element().raw("{").member("pid", row.pid).member("tokens", row.tokens);
    line.member("command", row.command).member("age_ms", row.age_ms).raw("}");
  }
  line.raw("]");
}

void write_row(LineWriter& line, const JobRow& row) {
  line.element().raw("{").member("holder", row.holder).member("pid", row.pid);
  line.member("command", row.command).member("age_ms", row.age_ms).raw("}");
}

void write_row(LineWriter& line, const StatusRow& row) {
  line.element().raw("{").member("session", row.session).member("name", row.name);
  line.member("pid", row.pid).member("target", row.target).member("type", row.type);
  line.member("priority", row.priority).member("age_ms", row.age_ms);
  if (row.lease != 0) {
    line.member("lease", row.lease).member("slots", row.slots).member("paid", row.paid);
  } else {
    line.member("min", row.min).member("max", row.max);
  }
  line.raw("}");
}

/// As many of the first rows as there may be, and as fit until `out` is `end` long.
template <typename Row>
void write_rows(LineWriter& line, std::string_view name, const std::vector<Row>& rows,
                std::size_t end) {
  line.key(name).raw("[");
  for (std::size_t i = 0; i < std::min(rows.size(), kMaxStatusRows); ++i) {
    const std::size_t before = line.size();
    write_row(line, rows[i]);
    if (line.size() > end) {
      line.truncate(before);
      break;
    }
  }
  line.raw("]");
}

}  // namespace

void append_result(std::string* out, const CallId& id, const StatusResult& result) {
  LineWriter line(out);
  const std::size_t begin = line.size();
  line.begin_result(id).raw("{").member("server", result.server).member("epoch", result.epoch);
  line.member("pid", result.pid).member("uptime_ms", result.uptime_ms);
  line.member("paused", result.paused).member("draining", result.draining);
  line.member("slots", result.slots).member("free", result.free);
  if (result.range.is_elastic()) {
    line.member("slots_min", result.range.min).member("slots_max", result.range.max);
  }
  line.member("leased", result.leased).member("tokens", result.tokens);
  line.member("implicit", result.implicit);
  if (result.frozen > 0) line.member("frozen", result.frozen);
  line.member("leases_total", result.leases_total).member("waiting_total", result.waiting_total);
  line.member("sessions", result.sessions);
  write_counters(line, result.counters);
  write_limits(line, result.limits);
  write_recoveries(line, result.recoveries);
  // Most builds have none, and older clients know no such member.
  if (!result.uncooperative.empty()) write_uncooperative(line, result.uncooperative);
  if (result.run) {
    write_run(line, *result.run);
    write_holders(line, result.holders);
  }
  // Rows of the longest names and targets do not all fit: then each list has a share of what is
  // left.
  const std::size_t end = std::max(begin + kMaxLine - kEnd, line.size());
  if (result.run) write_rows(line, "jobs", result.jobs, line.size() + (end - line.size()) / 3);
  write_rows(line, "waiting", result.waiting, line.size() + (end - line.size()) / 2);
  write_rows(line, "leases", result.leases, end);
  line.raw("}").end_result();
}

void append_set_result(std::string* out, const CallId& id, int slots,
                       const std::vector<LimitUse>& limits, bool paused) {
  LineWriter line(out);
  line.begin_result(id).raw("{").member("slots", slots);
  write_limits(line, limits);
  line.member("paused", paused).raw("}").end_result();
}

}  // namespace tokenpool::wire
