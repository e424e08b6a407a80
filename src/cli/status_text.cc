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

std::string who(const std::string& name, std::int32_t pid) {
  const std::string number = pid == 0 ? " ?" : " " + std::to_string(pid);
  return cut(clean_line(name), kMostOfName - number.size()) + number;
}

std::string range(int min, int max) {
  return std::to_string(min) + (min == max ? "" : "-" + std::to_string(max));
}

// Slots that nobody has and nobody gets, as for processes that ignore the pool.
int withheld(const wire::StatusResult& status) {
  return status.slots - status.free - status.leased - status.tokens - status.implicit;
}

void add_run(Page* page, const wire::RunStatus& run) {
  const std::string pid = run.pid == 0 ? "" : ", pid " + std::to_string(run.pid);
  page->named("Run", clean_line(run.command), pid + ", since " + age_text(run.age_ms));
  page->named("Folder", clean_line(run.folder), "");
  if (run.over) {
    page->field("Over", "its command has ended; the arbiter serves what that left running",
                Style::attention);
  }
}

std::string tracking_text(const wire::RunStatus& run) {
  std::string text = clean_line(run.tracking);
  if (run.tracking == "infer") text += ", so holders are not known";
  text += "; tokens: " + std::to_string(run.recovered) + " recovered";
  const auto add = [&text](std::uint64_t count, std::string_view what) {
    if (count > 0) text += ", " + std::to_string(count) + " " + std::string(what);
  };
  add(run.taken, "taken");
  add(run.returned, "returned");
  add(run.refused, "refused");
  add(run.minted, "minted");
  return text;
}

void add_head(Page* page, const wire::StatusResult& status, std::string_view address) {
  if (status.run) add_run(page, *status.run);
  page->field("Server", clean_line(status.server) + ", pid " + std::to_string(status.pid) +
                            ", up " + age_text(status.uptime_ms));
  page->named("Address", clean_line(address), "");
  const std::string elastic =
      status.range.is_elastic() ? " of " + range(status.range.min, status.range.max) : "";
  page->field("Slots", std::to_string(status.slots) + elastic + ": " + std::to_string(status.free) +
                           " free, " + std::to_string(status.leased) + " held by leases, " +
                           std::to_string(status.tokens) + " by make's tokens" +
                           (status.implicit > 0 ? ", 1 implicit" : ""));
  if (status.run) page->field("Tracking", tracking_text(*status.run));
  if (const int slots = withheld(status); slots > 0) {
    page->field("Withheld",
                count_of(static_cast<std::uint64_t>(slots), "slot") + " that nobody gets",
                Style::attention);
  }
  const int readers = status.run ? status.run->waiting : 0;
  page->field(
      "Waiting",
      count_of(status.waiting_total, "request") + "; " +
          (readers > 0 ? count_of(static_cast<std::uint64_t>(readers), "reader") + " of tokens; "
                       : "") +
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

std::string pid_text(std::int32_t pid) { return pid == 0 ? "?" : std::to_string(pid); }

/// Each holder, and below it what runs on its tokens.
void add_tokens(Page* page, const wire::StatusResult& status) {
  std::vector<Cells> cells;
  for (const wire::HolderRow& holder : status.holders) {
    const bool known = holder.pid != 0 || !holder.command.empty();
    cells.push_back({pid_text(holder.pid), std::to_string(holder.tokens),
                     known ? age_text(holder.age_ms) : "",
                     known ? clean_line(holder.command) : "taken unseen, by one of several"});
    for (const wire::JobRow& job : status.jobs) {
      if (holder.pid == 0 || job.holder != holder.pid) continue;
      cells.push_back(
          {pid_text(job.pid), "", age_text(job.age_ms), "  " + clean_line(job.command)});
    }
  }
  page->table(
      "Tokens (" + std::to_string(status.tokens) + ")", Worth::rows,
      {{"PID", 0, true}, {"TOKENS", 0, true}, {"SINCE", 0, true}, {"COMMAND", 0, false, true}},
      cells, cells.size());
}

void add_left(Page* page, const wire::StatusResult& status) {
  if (!status.run || !status.run->over) return;
  std::vector<Cells> cells;
  for (const wire::JobRow& job : status.jobs) {
    if (job.holder != 0) continue;
    cells.push_back({pid_text(job.pid), age_text(job.age_ms), clean_line(job.command)});
  }
  page->table("Left running (" + std::to_string(cells.size()) + ")", Worth::rows,
              {{"PID", 0, true}, {"SINCE", 0, true}, {"COMMAND", 0, false, true}}, cells,
              cells.size());
}

void add_ended(Page* page, const std::vector<EndedJob>& ended) {
  std::vector<Cells> cells;
  for (const EndedJob& job : ended) {
    cells.push_back({pid_text(job.pid), age_text(job.ran_ms), clean_line(job.name)});
  }
  page->table("Just ended", Worth::less,
              {{"PID", 0, true}, {"RAN", 0, true}, {"JOB", 0, false, true}}, cells, cells.size());
}

void add_rows(Page* page, const std::string& title, const std::vector<wire::StatusRow>& rows,
              std::size_t total, bool waiting) {
  std::vector<Cells> cells;
  for (const wire::StatusRow& row : rows) {
    std::string slots = waiting ? range(row.min, row.max) : std::to_string(row.slots);
    if (row.paid > 0) slots += " (" + std::to_string(row.paid) + " paid)";
    cells.push_back({who(row.name, row.pid), slots, age_text(row.age_ms),
                     row.priority == 0 ? "" : std::to_string(row.priority), clean_line(row.type),
                     clean_line(row.target)});
  }
  page->table(title + " (" + std::to_string(total) + ")", Worth::rows,
              {{"WHO", kMostOfName},
               {"SLOTS"},
               {"SINCE", 0, true},
               {"PRIORITY", 0, true},
               {"TYPE", 12},
               {"TARGET", 0, false, true}},
              cells, total);
}

void add_limits(Page* page, const std::vector<wire::LimitUse>& limits) {
  std::vector<Cells> rows;
  for (const wire::LimitUse& limit : limits) {
    rows.push_back(
        {clean_line(limit.type), std::to_string(limit.limit), std::to_string(limit.used)});
  }
  page->table("Limits", Worth::all, {{"TYPE"}, {"LIMIT", 0, true}, {"USED", 0, true}}, rows,
              rows.size());
}

std::string cause_of(const std::string& cause) {
  if (cause == "process") return "process ended";
  if (cause == "session") return "connection ended";
  if (cause == "operator") return "ended by set";
  return clean_line(cause);
}

void add_recoveries(Page* page, const std::vector<wire::RecoveryRow>& recoveries) {
  std::vector<Cells> rows;
  for (const wire::RecoveryRow& one : recoveries) {
    rows.push_back({who(one.name, one.pid), std::to_string(one.slots), age_text(one.ago_ms),
                    cause_of(one.cause), clean_line(one.target)});
  }
  page->table("Recovered", Worth::less,
              {{"WHO", kMostOfName},
               {"SLOTS"},
               {"AGO", 0, true},
               {"CAUSE", 16},
               {"TARGET", 0, false, true}},
              rows, rows.size());
}

void add_uncooperative(Page* page, const std::vector<wire::UncooperativeRow>& rows) {
  std::vector<Cells> cells;
  for (const wire::UncooperativeRow& row : rows) {
    const std::int64_t tenths = (row.millicores + 50) / 100;
    cells.push_back({std::to_string(row.pid),
                     std::to_string(tenths / 10) + "." + std::to_string(tenths % 10),
                     age_text(row.since_ms), clean_line(row.command)});
  }
  page->table("Not following the pool", Worth::all,
              {{"PID", 0, true}, {"CPUS TOO MANY", 0, true}, {"SINCE", 0, true}, {"COMMAND"}},
              cells, cells.size());
}

void add_counters(Page* page, const wire::StatusCounters& counters) {
  const auto word = [](std::string_view name, std::uint64_t count) {
    return std::string(name) + " " + std::to_string(count);
  };
  page->words("Counters", Worth::least,
              {word("granted", counters.granted), word("released", counters.released),
               word("recovered", counters.recovered), word("timed out", counters.timed_out),
               word("cancelled", counters.cancelled), word("refused", counters.refused),
               word("unauthorized", counters.unauthorized), word("resumed", counters.resumed)});
}

}  // namespace

std::string to_text(const wire::StatusResult& status, std::string_view address,
                    const StatusView& view, const std::vector<EndedJob>& ended) {
  Page page(view);
  add_head(&page, status, address);
  add_uncooperative(&page, status.uncooperative);
  add_tokens(&page, status);
  add_left(&page, status);
  add_rows(&page, "Leases", status.leases, status.leases_total, false);
  add_rows(&page, "Waiting", status.waiting, status.waiting_total, true);
  add_ended(&page, ended);
  add_limits(&page, status.limits);
  add_recoveries(&page, status.recoveries);
  add_counters(&page, status.counters);
  return page.text();
}

wire::Result<std::string> status_json(std::string_view result) {
  Json members = Json::parse(result, nullptr, false);
  if (!members.is_object()) {
    return tl::make_unexpected(
        wire::Error{1, "the arbiter's answer is no status: is it another version?"});
  }
  Json json = {{"schema", "tokenpool-status"}, {"version", 1}};
  for (auto& [name, value] : members.items()) json[name] = std::move(value);
  return wire::clean_json(json.dump(2, ' ', false, Json::error_handler_t::replace)) + "\n";
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
  constexpr std::array kMembers{"lease",   "slots", "tokens", "type",   "free",   "lost",
                                "session", "pid",   "name",   "target", "command"};
  for (const char* name : kMembers) {
    const std::string value = text_of(name);
    if (!value.empty()) line += " " + std::string(name) + "=" + value;
  }
  return line + "\n";
}

std::string state_text(const wire::StatusResult& status) {
  std::string line =
      "status slots=" + std::to_string(status.slots) + " free=" + std::to_string(status.free) +
      " leased=" + std::to_string(status.leased) + " tokens=" + std::to_string(status.tokens) +
      " waiting=" + std::to_string(status.waiting_total) +
      " pid=" + std::to_string(status.run ? status.run->pid : status.pid);
  if (status.run) line += " command=" + clean_line(status.run->command);
  return line + "\n";
}

std::string state_json(std::string_view result) {
  Json members = Json::parse(result, nullptr, false);
  Json json = {{"kind", "status"}};
  if (members.is_object()) json.update(members);
  return wire::clean_json(json.dump(-1, ' ', false, Json::error_handler_t::replace)) + "\n";
}

std::string event_json(std::string_view params) {
  const Json json = Json::parse(params, nullptr, false);
  if (json.is_discarded()) return {};
  return wire::clean_json(json.dump(-1, ' ', false, Json::error_handler_t::replace)) + "\n";
}

}  // namespace tokenpool::cli
