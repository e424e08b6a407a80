#include "host/report.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include "wire/plain_text.h"

namespace tokenpool::host {
namespace {

using Json = nlohmann::ordered_json;

// Columns of the closing line that a command may take.
constexpr std::size_t kShownCommand = 40;

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

const AccountPage& page_of(const Board& board) { return board.pages[board.current.load()]; }

const core::PoolCounters& counters_of(const Board& board) { return page_of(board).counters; }

Json recoveries_of(const Board& board) {
  Json list = Json::array();
  const auto count = std::min<std::size_t>(board.recovery_count, board.recoveries.size());
  for (std::size_t i = 0; i < count; ++i) {
    const RecoveryRow& row = board.recoveries[i];
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

Json refusals_of(const Board& board) {
  Json list = Json::array();
  const auto count = std::min<std::size_t>(board.refusal_count, board.refusals.size());
  for (std::size_t i = 0; i < count; ++i) {
    const RefusalRow& row = board.refusals[i];
    list.push_back({{"pid", row.pid}, {"command", row.command.data()}, {"count", row.count}});
  }
  return list;
}

Json uncooperative_of(const Board& board) {
  Json list = Json::array();
  const auto count =
      std::min<std::size_t>(board.uncooperative_count.load(), board.uncooperative.size());
  const auto seconds = [](std::int64_t ns) {
    return std::round(static_cast<double>(ns) / 1e6) / 1e3;
  };
  for (std::size_t i = 0; i < count; ++i) {
    const UncooperativeRow& row = board.uncooperative[i];
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

Json stuck_of(const Board& board) {
  Json list = Json::array();
  const auto count = std::min<std::size_t>(board.stuck_count.load(), board.stuck.size());
  for (std::size_t i = 0; i < count; ++i) {
    const StuckRow& row = board.stuck[i];
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

std::string temporary_name(const std::string& path) {
  return path + ".tmp" + std::to_string(::getpid());
}

}  // namespace

std::string render_report(const RunOutcome& outcome, const Board& board) {
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

std::string shown(std::string command) {
  // Of a program with a long path its own name tells more.
  const std::size_t word = std::min(command.find(' '), command.size());
  const std::size_t slash = command.rfind('/', word);
  if (command.size() > kShownCommand && slash != std::string::npos && slash + 1 < word) {
    command.erase(0, slash + 1);
  }
  if (command.size() > kShownCommand) command = command.substr(0, kShownCommand - 3) + "...";
  return command;
}

std::string uncooperative_line(const UncooperativeRow& row) {
  const std::string command = shown(row.command.data());
  std::array<char, 32> cores{};
  std::snprintf(cores.data(), cores.size(), "%.1f", row.cores);
  return "process " + std::to_string(row.pid) + " (" + command +
         ") does not follow the pool: it wants " + cores.data() +
         " CPUs more than it has slots, and the rest of the build has so many slots fewer until it "
         "stops; let it read MAKEFLAGS, run it with tokenpool exec --slots N, or (its compilers "
         "and linkers) with tokenpool run --wrap";
}

std::string outsider_line(const OtherUserRow& row) {
  return "process " + std::to_string(row.pid) + " (" + shown(row.command.data()) +
         ") goes on as user " + std::to_string(row.user) + ", who may not use " +
         row.out_of_reach.data() +
         ", so that what it starts runs outside of the pool; put TMPDIR and XDG_DATA_HOME, and "
         "this "
         "program, where all may enter";
}

namespace {

// A pipe, a terminal or a device is written to, never replaced; neither is what /dev and /proc
// name, which may be somebody's open file.
bool is_written_in_place(const std::string& path) {
  struct stat status{};
  if (path.starts_with("/dev/") || path.starts_with("/proc/")) return true;
  return ::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode);
}

// The file that a symbolic link leads to, there or not, so that the link stays one. Links that lead
// in a circle are answered as they are: opening that fails.
std::string target_of(const std::string& path) {
  namespace fs = std::filesystem;
  constexpr int kMostLinks = 40;  // as the kernel follows
  std::error_code none;
  fs::path at = path;
  for (int i = 0; i < kMostLinks && fs::is_symlink(fs::symlink_status(at, none)); ++i) {
    at = at.parent_path() / fs::read_symlink(at, none);
  }
  return at.string();
}

bool write_all(int fd, const std::string& text) {
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = ::write(fd, text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) break;
    done += static_cast<std::size_t>(n);
  }
  return ::close(fd) == 0 && done == text.size();
}

}  // namespace

wire::Result<void> write_report(const std::string& path, const std::string& text) {
  if (is_written_in_place(path)) {
    // A FIFO that nobody reads is not waited for (ENXIO); who reads it may take his time.
    const int fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd >= 0) ::fcntl(fd, F_SETFL, O_APPEND);
    if (fd >= 0 && write_all(fd, text)) return {};
    return tl::unexpected(cannot_write(path));
  }
  const std::string target = target_of(path);
  const std::string temporary = temporary_name(target);
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return tl::unexpected(cannot_write(path));
  if (write_all(fd, text) && std::rename(temporary.c_str(), target.c_str()) == 0) return {};
  auto error = cannot_write(path);
  ::unlink(temporary.c_str());
  return tl::unexpected(std::move(error));
}

wire::Result<void> check_report_path(const std::string& path) {
  struct stat status{};
  if (is_written_in_place(path)) {
    if (::access(path.c_str(), W_OK) == 0) return {};
    return tl::unexpected(cannot_write(path));
  }
  const bool is_there = ::stat(path.c_str(), &status) == 0;
  if (is_there && S_ISDIR(status.st_mode)) errno = EISDIR;
  if ((is_there && S_ISDIR(status.st_mode)) || (!is_there && errno == ELOOP)) {
    return tl::unexpected(cannot_write(path));
  }
  const std::string temporary = temporary_name(target_of(path));
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return tl::unexpected(cannot_write(path));
  ::close(fd);
  ::unlink(temporary.c_str());
  return {};
}

std::optional<std::string> closing_line(const Board& board) {
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
      const std::string command = shown(board.first_loser.data());
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

}  // namespace tokenpool::host
