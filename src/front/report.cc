#include "front/report.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>

#include <nlohmann/json.hpp>

#include "proc/written_file.h"
#include "wire/plain_text.h"

namespace tokenpool::front {
namespace {

using Json = nlohmann::ordered_json;

const char* name_of(core::EndCause cause) {
  switch (cause) {
    case core::EndCause::succeeded:
      return "succeeded";
    case core::EndCause::failed:
      return "failed";
    case core::EndCause::killed:
      return "killed";
    case core::EndCause::unknown:
      return "unknown";
  }
  return "unknown";
}

const board::AccountPage& page_of(const board::Board& board) {
  return board.pages[board.current.load()];
}

const core::PoolCounters& counters_of(const board::Board& board) { return page_of(board).counters; }

Json recoveries_of(const board::Board& board) {
  Json list = Json::array();
  const auto count = std::min<std::size_t>(board.recovery_count, board.recoveries.size());
  for (std::size_t i = 0; i < count; ++i) {
    const board::RecoveryRow& row = board.recoveries[i];
    list.push_back({{"pid", row.pid},
                    {"command", row.command.data()},
                    {"held", row.held},
                    {"recovered", row.recovered},
                    {"moved", row.moved},
                    {"cause", name_of(row.cause)},
                    {"after_us", row.after_us}});
  }
  return list;
}

Json refusals_of(const board::Board& board) {
  Json list = Json::array();
  const auto count = std::min<std::size_t>(board.refusal_count, board.refusals.size());
  for (std::size_t i = 0; i < count; ++i) {
    const board::RefusalRow& row = board.refusals[i];
    list.push_back({{"pid", row.pid}, {"command", row.command.data()}, {"count", row.count}});
  }
  return list;
}

Json uncooperative_of(const board::Board& board) {
  Json list = Json::array();
  const auto count =
      std::min<std::size_t>(board.uncooperative_count.load(), board.uncooperative.size());
  const auto seconds = [](std::int64_t ns) {
    return std::round(static_cast<double>(ns) / 1e6) / 1e3;
  };
  for (std::size_t i = 0; i < count; ++i) {
    const board::UncooperativeRow& row = board.uncooperative[i];
    // An arbiter that was killed has not said until when.
    const bool ended = row.until_ns > 0;
    list.push_back(
        {{"pid", row.pid},
         {"command", row.command.data()},
         {"cores", std::round(row.cores * 100) / 100},
         {"since_seconds", seconds(row.since_ns - board.begun_ns)},
         {"seconds", ended ? Json(seconds(row.until_ns - row.since_ns)) : Json(nullptr)}});
  }
  return list;
}

Json stuck_of(const board::Board& board) {
  Json list = Json::array();
  const auto count = std::min<std::size_t>(board.stuck_count.load(), board.stuck.size());
  for (std::size_t i = 0; i < count; ++i) {
    const board::StuckRow& row = board.stuck[i];
    Json halted = nullptr;
    if (row.halted != 0) {
      halted = {{"pid", row.halted},
                {"command", row.halted_command.data()},
                {"state", row.state == 'T' ? "stopped" : "disk"}};
    }
    Json limit = nullptr;
    if (row.type[0] != '\0') {
      limit = {{"type", row.type.data()}, {"jobs", row.limit}, {"waiting", row.waiting}};
    }
    list.push_back({{"pid", row.pid},
                    {"command", row.command.data()},
                    {"held", row.held},
                    {"halted", halted},
                    {"limit", limit}});
  }
  return list;
}

std::string counted(std::uint64_t count, const char* one, const char* several) {
  return std::to_string(count) + " " + (count == 1 ? one : several);
}

wire::Error cannot_write(const std::string& path) {
  return {125, "cannot write the report " + path + ": " + std::strerror(errno) +
                   "; give --report a file in a folder that can be written"};
}

}  // namespace

std::string render_report(const RunOutcome& outcome, const board::Board& board) {
  const auto& counters = counters_of(board);
  const int final_slots = page_of(board).settings.slots;
  Json report;
  report["schema"] = "tokenpool-report";
  report["version"] = 1;
  report["command"] = outcome.command;
  report["exit_code"] = outcome.exit_code;
  report["signal"] = outcome.signal == 0 ? Json(nullptr) : Json(outcome.signal);
  report["wall_seconds"] = outcome.wall_seconds;
  report["cpu_seconds"] = outcome.cpu_seconds;
  report["tracking"] = outcome.tracking;
  report["slots"] = {{"min", outcome.slots.min},
                     {"max", outcome.slots.max},
                     {"final", final_slots > 0 ? final_slots : outcome.slots.min},
                     {"peak_in_use", counters.peak_outstanding + 1}};
  report["tokens"] = {{"issued", board.issued},
                      {"taken", counters.taken},
                      {"returned", counters.returned},
                      {"recovered", counters.recovered},
                      {"refused", counters.refused},
                      {"minted", counters.minted},
                      {"held", board.still_held},
                      {"unseen_taken", counters.unseen_taken},
                      {"unseen_returned", counters.unseen_returned},
                      {"missing", board.missing}};
  report["recoveries"] = recoveries_of(board);
  report["recoveries_total"] = board.recovery_count;
  report["refusals"] = refusals_of(board);
  report["jobs"] = Json::array();
  report["uncooperative"] = uncooperative_of(board);
  report["stuck"] = stuck_of(board);
  report["frozen"] = {{"count", board.freeze_count.load()},
                      {"peak", board.frozen_peak},
                      {"seconds", std::round(static_cast<double>(board.frozen_ns) / 1e6) / 1e3}};
  report["memory"] = {{"peak_process_bytes", outcome.peak_process_bytes}};
  report["left_running"] = outcome.left_running;
  report["arbiter_restarts"] = board.arbiter_deaths;
  return wire::clean_json(report.dump(2, ' ', false, Json::error_handler_t::replace)) + "\n";
}

wire::Result<void> write_report(const std::string& path, const std::string& text) {
  if (proc::write_file(path, text)) return {};
  return tl::unexpected(cannot_write(path));
}

wire::Result<void> check_report_path(const std::string& path) {
  if (proc::may_write_file(path)) return {};
  return tl::unexpected(cannot_write(path));
}

std::optional<std::string> closing_line(const board::Board& board) {
  const auto& counters = counters_of(board);
  std::string line;
  const auto add = [&line](const std::string& part) { line += (line.empty() ? "" : ", ") + part; };
  // Without a tracker nobody knows who lost them, and what was made anew is found missing at the
  // end.
  const bool is_known = board.recovery_count > 0 && board.recoveries[0].pid != 0;
  const bool is_one_loss = !is_known && counters.recovered > 0 && counters.minted > 0;
  if (counters.recovered > 0 && !(is_one_loss && counters.minted > counters.recovered)) {
    std::string part = counted(counters.recovered, "token", "tokens") + " recovered";
    if (is_known && board.loser_count > 0) {
      part += " from " + counted(board.loser_count, "dead process", "dead processes");
      const std::string command = wire::short_command(board.first_loser.data());
      if (!command.empty()) part += (board.loser_count == 1 ? " (" : " (first: ") + command + ")";
    }
    add(part);
  }
  if (counters.minted > 0 && !(is_one_loss && counters.minted <= counters.recovered)) {
    add(counted(counters.minted, "token", "tokens") + " made anew in place of others");
  }
  if (counters.refused > 0) {
    add(counted(counters.refused, "token", "tokens") + " returned once too often and refused");
  }
  if (board.still_held > 0) {
    add(counted(static_cast<std::uint64_t>(board.still_held), "token", "tokens") +
        " still held by what the build left running");
  }
  if (board.missing != 0) add(std::to_string(board.missing) + " missing");
  if (line.empty()) return std::nullopt;
  return line;
}

}  // namespace tokenpool::front
