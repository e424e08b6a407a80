#include "cli/status_text.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "cli/table.h"
#include "cli/terminal.h"

namespace tokenpool::cli {
namespace {

using Json = nlohmann::ordered_json;
using Cells = std::vector<std::string>;

constexpr std::size_t kMostOfName = 26;  // so that a table without its targets fits 80 columns

std::string count_of(std::uint64_t count, std::string_view one) {
  return std::to_string(count) + " " + std::string(one) + (count == 1 ? "" : "s");
}

class StatusPage {
 public:
  explicit StatusPage(const StatusView& view) : view_(view) {}

  void line(std::string_view text, Style style = Style::plain) {
    text_ += styled(cut(text, view_.columns), style, view_.colour) + "\n";
  }
  void field(std::string_view name, std::string_view value, Style style = Style::plain) {
    std::string text(name);
    text.resize(10, ' ');
    line(text + std::string(value), style);
  }
  void heading(std::string_view text) {
    text_ += "\n";
    line(text, Style::heading);
  }
  void table(const std::vector<Column>& columns, const std::vector<Cells>& rows) {
    for (const std::string& row : lay_out(columns, rows, view_.columns)) line(row);
  }
  /// Words in columns of one width, as many on a line as fit.
  void words(const std::vector<std::string>& all) {
    std::size_t widest = 0;
    for (const std::string& word : all) widest = std::max(widest, word.size());
    const std::size_t columns = view_.columns == kWholeLines ? StatusView{}.columns : view_.columns;
    std::string row;
    for (std::string word : all) {
      if (!row.empty() && row.size() + 2 + word.size() > columns) {
        line(row.substr(0, row.find_last_not_of(' ') + 1));
        row.clear();
      }
      word.resize(widest, ' ');
      row += "  " + word;
    }
    line(row.substr(0, row.find_last_not_of(' ') + 1));
  }
  std::string take() { return std::move(text_); }

 private:
  StatusView view_;
  std::string text_;
};

std::string who(const std::string& name, std::int32_t pid) {
  const std::string number = " " + std::to_string(pid);
  return cut(clean_line(name), kMostOfName - number.size()) + number;
}

std::string range(int min, int max) {
  return std::to_string(min) + (min == max ? "" : "-" + std::to_string(max));
}

// Slots that nobody has and nobody gets, as for processes that ignore the pool.
int withheld(const wire::StatusResult& status) {
  return status.slots - status.free - status.leased - status.tokens - status.implicit;
}

void add_head(StatusPage* page, const wire::StatusResult& status, std::string_view address) {
  page->field("Server", clean_line(status.server) + ", pid " + std::to_string(status.pid) +
                            ", up " + age_text(status.uptime_ms));
  page->field("Address", clean_line(address));
  const std::string elastic =
      status.range.is_elastic() ? " of " + range(status.range.min, status.range.max) : "";
  page->field("Slots", std::to_string(status.slots) + elastic + ": " + std::to_string(status.free) +
                           " free, " + std::to_string(status.leased) + " held by leases, " +
                           std::to_string(status.tokens) + " by make's tokens" +
                           (status.implicit > 0 ? ", 1 implicit" : ""));
  if (const int slots = withheld(status); slots > 0) {
    page->field("Withheld",
                count_of(static_cast<std::uint64_t>(slots), "slot") + " that nobody gets",
                Style::attention);
  }
  page->field("Waiting", count_of(status.waiting_total, "request") + "; " +
                             count_of(status.sessions, "session"));
  if (status.frozen > 0) {
    page->field("Frozen",
                count_of(static_cast<std::size_t>(status.frozen), "job") +
                    " until there are slots for all that run",
                Style::attention);
  }
  if (status.paused) page->field("Paused", "nothing new is granted", Style::attention);
  if (status.draining) page->field("Ending", "nothing new is granted", Style::attention);
}

void add_rows(StatusPage* page, const std::string& title, const std::vector<wire::StatusRow>& rows,
              std::size_t total, bool waiting) {
  if (total == 0) return;
  page->heading(title + " (" + std::to_string(total) + ")");
  std::vector<Cells> cells;
  for (const wire::StatusRow& row : rows) {
    std::string slots = waiting ? range(row.min, row.max) : std::to_string(row.slots);
    if (row.paid > 0) slots += " (" + std::to_string(row.paid) + " paid)";
    cells.push_back({who(row.name, row.pid), slots, age_text(row.age_ms),
                     row.priority == 0 ? "" : std::to_string(row.priority), clean_line(row.type),
                     clean_line(row.target)});
  }
  page->table({{"WHO", kMostOfName},
               {"SLOTS"},
               {"SINCE", 0, true},
               {"PRIORITY", 0, true},
               {"TYPE", 12},
               {"TARGET"}},
              cells);
  if (total > rows.size()) page->line("  and " + std::to_string(total - rows.size()) + " more");
}

void add_limits(StatusPage* page, const std::vector<wire::LimitUse>& limits) {
  if (limits.empty()) return;
  page->heading("Limits");
  std::vector<Cells> rows;
  for (const wire::LimitUse& limit : limits) {
    rows.push_back(
        {clean_line(limit.type), std::to_string(limit.limit), std::to_string(limit.used)});
  }
  page->table({{"TYPE"}, {"LIMIT", 0, true}, {"USED", 0, true}}, rows);
}

std::string cause_of(const std::string& cause) {
  if (cause == "process") return "process ended";
  if (cause == "session") return "connection ended";
  return clean_line(cause);
}

void add_recoveries(StatusPage* page, const std::vector<wire::RecoveryRow>& recoveries) {
  if (recoveries.empty()) return;
  page->heading("Recovered");
  std::vector<Cells> rows;
  for (const wire::RecoveryRow& one : recoveries) {
    rows.push_back({who(one.name, one.pid), std::to_string(one.slots), age_text(one.ago_ms),
                    cause_of(one.cause), clean_line(one.target)});
  }
  page->table({{"WHO", kMostOfName}, {"SLOTS"}, {"AGO", 0, true}, {"CAUSE", 16}, {"TARGET"}}, rows);
}

void add_uncooperative(StatusPage* page, const std::vector<wire::UncooperativeRow>& rows) {
  if (rows.empty()) return;
  page->heading("Not following the pool");
  std::vector<Cells> cells;
  for (const wire::UncooperativeRow& row : rows) {
    const std::int64_t tenths = (row.millicores + 50) / 100;
    cells.push_back({std::to_string(row.pid),
                     std::to_string(tenths / 10) + "." + std::to_string(tenths % 10),
                     age_text(row.since_ms), clean_line(row.command)});
  }
  page->table({{"PID", 0, true}, {"CPUS TOO MANY", 0, true}, {"SINCE", 0, true}, {"COMMAND"}},
              cells);
}

void add_counters(StatusPage* page, const wire::StatusCounters& counters) {
  page->heading("Counters");
  const auto word = [](std::string_view name, std::uint64_t count) {
    return std::string(name) + " " + std::to_string(count);
  };
  page->words({word("granted", counters.granted), word("released", counters.released),
               word("recovered", counters.recovered), word("timed out", counters.timed_out),
               word("cancelled", counters.cancelled), word("refused", counters.refused),
               word("unauthorized", counters.unauthorized), word("resumed", counters.resumed)});
}

}  // namespace

std::string to_text(const wire::StatusResult& status, std::string_view address,
                    const StatusView& view) {
  StatusPage page(view);
  add_head(&page, status, address);
  add_rows(&page, "Leases", status.leases, status.leases_total, false);
  add_rows(&page, "Waiting", status.waiting, status.waiting_total, true);
  add_limits(&page, status.limits);
  add_uncooperative(&page, status.uncooperative);
  add_recoveries(&page, status.recoveries);
  add_counters(&page, status.counters);
  return page.take();
}

wire::Result<std::string> status_json(std::string_view result) {
  Json members = Json::parse(result, nullptr, false);
  if (!members.is_object()) {
    return tl::make_unexpected(
        wire::Error{1, "the arbiter's answer is no status: is it another version?"});
  }
  Json json = {{"schema", "tokenpool-status"}, {"version", 1}};
  for (auto& [name, value] : members.items()) json[name] = std::move(value);
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string event_text(std::string_view params) {
  const Json json = Json::parse(params, nullptr, false);
  const auto text_of = [&](const char* name) {
    const auto found = json.is_object() ? json.find(name) : json.end();
    if (found == json.end()) return std::string();
    return clean_line(found->is_string() ? found->get<std::string>() : found->dump());
  };
  std::string line = text_of("kind");
  if (line.empty()) line = "event";
  constexpr std::array<const char*, 8> kMembers{"lease", "slots",   "type", "free",
                                                "lost",  "session", "name", "target"};
  for (const char* name : kMembers) {
    const std::string value = text_of(name);
    if (!value.empty()) line += " " + std::string(name) + "=" + value;
  }
  return line + "\n";
}

std::string event_json(std::string_view params) {
  const Json json = Json::parse(params, nullptr, false);
  if (json.is_discarded()) return {};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string age_text(std::int64_t milliseconds) {
  const std::int64_t seconds = std::max<std::int64_t>(milliseconds, 0) / 1000;
  const auto two = [](std::int64_t number) {
    return (number < 10 ? "0" : "") + std::to_string(number);
  };
  constexpr std::int64_t kMinute = 60;
  constexpr std::int64_t kHour = 60 * kMinute;
  constexpr std::int64_t kDay = 24 * kHour;
  if (seconds < kMinute) return std::to_string(seconds) + "s";
  if (seconds < kHour)
    return std::to_string(seconds / kMinute) + "m" + two(seconds % kMinute) + "s";
  if (seconds < kDay) {
    return std::to_string(seconds / kHour) + "h" + two(seconds % kHour / kMinute) + "m";
  }
  return std::to_string(seconds / kDay) + "d" + two(seconds % kDay / kHour) + "h";
}

}  // namespace tokenpool::cli
