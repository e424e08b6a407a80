// A status, as a client reads it.
#include <array>
#include <climits>
#include <concepts>
#include <string>
#include <utility>
#include <vector>

#include "core/limits.h"
#include "wire/protocol_codec.h"
#include "wire/protocol_json.h"

namespace tokenpool::wire {
namespace {

using Kind = JsonValue::Kind;

constexpr std::string_view kWords[] = {
    "server",    "epoch",         "pid",          "uptime_ms",    "paused",        "draining",
    "slots",     "free",          "leased",       "tokens",       "limits",        "leases",
    "waiting",   "sessions",      "counters",     "leases_total", "waiting_total", "recoveries",
    "session",   "name",          "target",       "type",         "priority",      "age_ms",
    "lease",     "paid",          "min",          "max",          "limit",         "used",
    "cause",     "ago_ms",        "granted",      "released",     "recovered",     "timed_out",
    "cancelled", "refused",       "unauthorized", "resumed",      "implicit",      "slots_min",
    "slots_max", "uncooperative", "command",      "since_ms",     "millicores",    "frozen",
    "run",       "folder",        "over",         "tracking",     "taken",         "returned",
    "minted",    "holders",       "jobs",         "holder"};
constexpr std::size_t kWordCount = std::size(kWords);

/// The last place is for words that nobody knows.
constexpr std::size_t place_of(std::string_view word) {
  std::size_t i = 0;
  while (i < kWordCount && kWords[i] != word) ++i;
  return i;
}

/// One object of a status.
class Row {
 public:
  JsonValue* place(std::string_view word) { return &values_[place_of(word)]; }

  /// What is missing leaves `out` as it is. `low`: 0, or less where it may be negative.
  template <std::integral T>
  void take(std::string_view word, T* out, std::int64_t low = 0) {
    const JsonValue& value = values_[place_of(word)];
    if (value.is(Kind::missing)) return;
    constexpr std::int64_t kHigh = sizeof(T) < 8 ? INT32_MAX : kMaxNumber;
    if (!value.is(Kind::whole) || value.whole < low || value.whole > kHigh) {
      failed_ = true;
    } else {
      *out = static_cast<T>(value.whole);
    }
  }
  void take(std::string_view word, bool* out) {
    const JsonValue& value = values_[place_of(word)];
    if (value.is(Kind::missing)) return;
    failed_ = failed_ || !value.is(Kind::boolean);
    *out = value.flag;
  }
  void take(std::string_view word, std::string* out) {
    const JsonValue& value = values_[place_of(word)];
    if (value.is(Kind::missing)) return;
    if (value.is(Kind::text)) {
      *out = value.text();
    } else {
      failed_ = true;
    }
  }
  /// A member that opened as something else than it must be.
  void expect(std::string_view word, Kind kind) {
    const JsonValue& value = values_[place_of(word)];
    failed_ = failed_ || !(value.is(Kind::missing) || value.is(kind));
  }
  [[nodiscard]] bool has(std::string_view word) const {
    return !values_[place_of(word)].is(Kind::missing);
  }
  [[nodiscard]] bool failed() const { return failed_; }

 private:
  std::array<JsonValue, kWordCount + 1> values_;
  bool failed_ = false;
};

LimitUse to_limit(Row& row) {
  LimitUse limit;
  row.take("type", &limit.type);
  row.take("limit", &limit.limit);
  row.take("used", &limit.used);
  return limit;
}

StatusRow to_row(Row& row) {
  StatusRow status;
  row.take("lease", &status.lease);
  row.take("session", &status.session);
  row.take("name", &status.name);
  row.take("pid", &status.pid);
  row.take("slots", &status.slots);
  row.take("paid", &status.paid);
  row.take("min", &status.min);
  row.take("max", &status.max);
  row.take("type", &status.type);
  row.take("target", &status.target);
  row.take("priority", &status.priority, INT_MIN);
  row.take("age_ms", &status.age_ms);
  return status;
}

RecoveryRow to_recovery(Row& row) {
  RecoveryRow recovery;
  row.take("lease", &recovery.lease);
  row.take("slots", &recovery.slots);
  row.take("name", &recovery.name);
  row.take("pid", &recovery.pid);
  row.take("target", &recovery.target);
  row.take("cause", &recovery.cause);
  row.take("ago_ms", &recovery.ago_ms);
  return recovery;
}

UncooperativeRow to_uncooperative(Row& row) {
  UncooperativeRow one;
  row.take("pid", &one.pid);
  row.take("command", &one.command);
  row.take("millicores", &one.millicores);
  row.take("since_ms", &one.since_ms);
  return one;
}

RunStatus to_run(Row& row) {
  RunStatus run;
  row.take("command", &run.command);
  row.take("folder", &run.folder);
  row.take("pid", &run.pid);
  row.take("age_ms", &run.age_ms);
  row.take("over", &run.over);
  row.take("tracking", &run.tracking);
  row.take("waiting", &run.waiting);
  row.take("taken", &run.taken);
  row.take("returned", &run.returned);
  row.take("recovered", &run.recovered);
  row.take("refused", &run.refused);
  row.take("minted", &run.minted);
  return run;
}

HolderRow to_holder(Row& row) {
  HolderRow holder;
  row.take("pid", &holder.pid);
  row.take("tokens", &holder.tokens);
  row.take("command", &holder.command);
  row.take("age_ms", &holder.age_ms);
  return holder;
}

JobRow to_job(Row& row) {
  JobRow job;
  row.take("holder", &job.holder);
  row.take("pid", &job.pid);
  row.take("command", &job.command);
  row.take("age_ms", &job.age_ms);
  return job;
}

StatusCounters to_counters(Row& row) {
  StatusCounters counters;
  row.take("granted", &counters.granted);
  row.take("released", &counters.released);
  row.take("recovered", &counters.recovered);
  row.take("timed_out", &counters.timed_out);
  row.take("cancelled", &counters.cancelled);
  row.take("refused", &counters.refused);
  row.take("unauthorized", &counters.unauthorized);
  row.take("resumed", &counters.resumed);
  return counters;
}

class StatusSink final : public JsonSink {
 public:
  void key(std::string_view name) override;
  void value(const JsonValue& value) override;
  void open(Kind kind, std::size_t at) override;
  void close(std::size_t end) override;

  /// Nothing: it was no status.
  std::optional<StatusResult> result();

 private:
  enum class Level : std::uint8_t { outside, top, counters, run, list, row };
  enum class List : std::uint8_t {
    limits,
    leases,
    waiting,
    recoveries,
    uncooperative,
    holders,
    jobs
  };

  [[nodiscard]] std::optional<List> list_at_current();
  bool enter(Kind kind);
  void clear_list();
  void end_row();

  Level level_ = Level::outside;
  int skipped_ = 0;  ///< levels below one that matters
  JsonValue root_;
  JsonValue* current_ = &root_;  ///< where the next value belongs
  List list_{};                  ///< the one that is open
  Row top_;
  Row row_;
  StatusResult status_;
  bool failed_ = false;
};

void StatusSink::key(std::string_view name) {
  if (skipped_ > 0) return;
  current_ = (level_ == Level::top ? top_ : row_).place(name);
}

void StatusSink::value(const JsonValue& value) {
  if (skipped_ > 0) return;
  if (level_ == Level::list) {
    failed_ = true;
  } else {
    *current_ = value;
  }
}

std::optional<StatusSink::List> StatusSink::list_at_current() {
  if (current_ == top_.place("limits")) return List::limits;
  if (current_ == top_.place("leases")) return List::leases;
  if (current_ == top_.place("waiting")) return List::waiting;
  if (current_ == top_.place("recoveries")) return List::recoveries;
  if (current_ == top_.place("uncooperative")) return List::uncooperative;
  if (current_ == top_.place("holders")) return List::holders;
  if (current_ == top_.place("jobs")) return List::jobs;
  return std::nullopt;
}

void StatusSink::clear_list() {
  switch (list_) {
    case List::limits:
      return status_.limits.clear();
    case List::leases:
      return status_.leases.clear();
    case List::waiting:
      return status_.waiting.clear();
    case List::recoveries:
      return status_.recoveries.clear();
    case List::uncooperative:
      return status_.uncooperative.clear();
    case List::holders:
      return status_.holders.clear();
    case List::jobs:
      return status_.jobs.clear();
  }
}

/// Whether what opens is of a kind that matters.
bool StatusSink::enter(Kind kind) {
  const bool is_object = kind == Kind::object;
  if (level_ == Level::outside && is_object) {
    level_ = Level::top;
    return true;
  }
  if (level_ == Level::top && is_object && current_ == top_.place("counters")) {
    row_ = {};
    level_ = Level::counters;
    return true;
  }
  if (level_ == Level::top && is_object && current_ == top_.place("run")) {
    row_ = {};
    level_ = Level::run;
    return true;
  }
  if (level_ == Level::list && is_object) {
    row_ = {};
    level_ = Level::row;
    return true;
  }
  if (level_ != Level::top || is_object) return false;
  const std::optional<List> list = list_at_current();
  if (!list) return false;
  list_ = *list;
  clear_list();
  level_ = Level::list;
  return true;
}

void StatusSink::open(Kind kind, std::size_t /*at*/) {
  if (skipped_ > 0) {
    ++skipped_;
    return;
  }
  if (level_ == Level::list) {
    failed_ = failed_ || kind != Kind::object;
  } else {
    *current_ = {};
    current_->kind = kind;
  }
  if (!enter(kind)) skipped_ = 1;
}

template <typename T>
void keep(std::vector<T>* rows, std::size_t most, T row) {
  if (rows->size() < most) rows->push_back(std::move(row));
}

void StatusSink::end_row() {
  switch (list_) {
    case List::limits:
      keep(&status_.limits, core::kMaxLimits, to_limit(row_));
      break;
    case List::leases:
      keep(&status_.leases, kMaxStatusRows, to_row(row_));
      break;
    case List::waiting:
      keep(&status_.waiting, kMaxStatusRows, to_row(row_));
      break;
    case List::recoveries:
      keep(&status_.recoveries, kMaxRecoveryRows, to_recovery(row_));
      break;
    case List::uncooperative:
      keep(&status_.uncooperative, kMaxRecoveryRows, to_uncooperative(row_));
      break;
    case List::holders:
      keep(&status_.holders, kMaxHolderRows, to_holder(row_));
      break;
    case List::jobs:
      keep(&status_.jobs, kMaxStatusRows, to_job(row_));
      break;
  }
  failed_ = failed_ || row_.failed();
}

void StatusSink::close(std::size_t /*end*/) {
  if (skipped_ > 0) {
    --skipped_;
    return;
  }
  switch (level_) {
    case Level::row:
      end_row();
      level_ = Level::list;
      break;
    case Level::counters:
      status_.counters = to_counters(row_);
      failed_ = failed_ || row_.failed();
      level_ = Level::top;
      break;
    case Level::run:
      status_.run = to_run(row_);
      failed_ = failed_ || row_.failed();
      level_ = Level::top;
      break;
    case Level::list:
      level_ = Level::top;
      break;
    case Level::top:
    case Level::outside:
      level_ = Level::outside;
      break;
  }
}

std::optional<StatusResult> StatusSink::result() {
  if (!root_.is(Kind::object) || !top_.has("slots")) return std::nullopt;
  top_.take("server", &status_.server);
  top_.take("epoch", &status_.epoch);
  top_.take("pid", &status_.pid);
  top_.take("uptime_ms", &status_.uptime_ms);
  top_.take("paused", &status_.paused);
  top_.take("draining", &status_.draining);
  top_.take("slots", &status_.slots);
  top_.take("slots_min", &status_.range.min);
  top_.take("slots_max", &status_.range.max);
  top_.take("free", &status_.free, INT_MIN);
  top_.take("leased", &status_.leased);
  top_.take("tokens", &status_.tokens);
  top_.take("implicit", &status_.implicit);
  top_.take("frozen", &status_.frozen);
  top_.take("leases_total", &status_.leases_total);
  top_.take("waiting_total", &status_.waiting_total);
  top_.take("sessions", &status_.sessions);
  top_.expect("counters", Kind::object);
  top_.expect("run", Kind::object);
  for (const std::string_view list :
       {"limits", "leases", "waiting", "recoveries", "uncooperative", "holders", "jobs"}) {
    top_.expect(list, Kind::list);
  }
  if (failed_ || top_.failed()) return std::nullopt;
  return std::move(status_);
}

}  // namespace

std::optional<StatusResult> parse_status(std::string_view body) {
  JsonText text(body);
  StatusSink sink;
  if (text.parse(&sink)) return std::nullopt;
  return sink.result();
}

}  // namespace tokenpool::wire
