#include "arbiter/run_status.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <tuple>

#include <unistd.h>

#include "proc/pid_view.h"
#include "proc/process.h"
#include "wire/limits.h"

namespace tokenpool::arbiter {
namespace {

// As much of a job's command line as a target may be long.
constexpr std::size_t kCommandBytes = wire::kMaxTargetBytes;

void add_job(std::int32_t holder, const proc::ProcessInfo& process, wire::StatusResult* status) {
  if (status->jobs.size() == wire::kMaxStatusRows) return;
  status->jobs.push_back({holder, process.id.pid, proc::command_of(process.id.pid, kCommandBytes),
                          proc::age_ms(process.id.start)});
}

std::string command_of(const proc::Watchlist& watched, pid_t pid) {
  if (std::string command = proc::command_of(pid, kCommandBytes); !command.empty()) return command;
  const proc::WatchedProcess* known = watched.find(pid);
  return known == nullptr ? std::string() : known->command;
}

void add_holders(const RunStatusSources& sources, wire::StatusResult* status) {
  std::vector<const core::Account*> holders;
  for (const auto& [who, account] : sources.pool.ledger().accounts()) {
    if (account.held() > 0) holders.push_back(&account);
  }
  std::sort(holders.begin(), holders.end(), [](const core::Account* a, const core::Account* b) {
    return std::tuple(-a->held(), a->who) < std::tuple(-b->held(), b->who);
  });
  int unseen = 0;
  for (const core::UnseenTake& take : sources.pool.ledger().unseen()) unseen += take.count;
  if (unseen > 0) status->holders.push_back({0, unseen, {}, 0});
  for (const core::Account* holder : holders) {
    if (status->holders.size() == wire::kMaxHolderRows) return;
    const pid_t pid = holder->who.pid;
    status->holders.push_back(
        {pid, holder->held(), command_of(sources.watched, pid), proc::age_ms(holder->who.start)});
    for (const auto& child : proc::children_of(pid)) add_job(pid, child, status);
  }
}

// By the group that none of them leaves, else by the mark that all of them carry.
void add_left(const RunStatusSources& sources, wire::StatusResult* status) {
  const std::string& group = sources.config.group.folder();
  std::ifstream members(group.empty() ? std::string() : group + "/cgroup.procs");
  std::vector<pid_t> left;
  for (pid_t pid = 0; members >> pid;) left.push_back(pid);
  if (left.empty() && sources.begin.mark != 0) {
    for (const pid_t pid : proc::all_processes()) {
      if (proc::has_build_mark(pid, sources.begin.mark)) left.push_back(pid);
    }
  }
  for (const pid_t pid : left) {
    const auto process = proc::read_process(pid);
    if (pid > 0 && process && !proc::is_ended(process->state)) add_job(0, *process, status);
  }
}

}  // namespace

void describe_run(const RunStatusSources& sources, wire::StatusResult* status) {
  const board::Board& board = *sources.config.board;
  const core::PoolCounters& counters = sources.pool.counters();
  wire::RunStatus run;
  run.command = board.command.data();
  run.folder = board.folder.data();
  run.pid = sources.begin.left ? 0 : sources.config.front;
  run.over = sources.over;
  run.age_ms = std::chrono::duration_cast<std::chrono::milliseconds>(sources.now -
                                                                     core::Instant(board.begun_ns))
                   .count();
  run.tracking = sources.tracked ? "exact" : "infer";
  const auto& waiting = sources.pool.waiting();
  run.waiting = static_cast<int>(std::count_if(
      waiting.begin(), waiting.end(), [](const core::Request& one) { return !one.lease; }));
  run.taken = counters.taken + counters.unseen_taken;
  run.returned = counters.returned + counters.unseen_returned;
  run.recovered = counters.recovered;
  run.refused = counters.refused;
  run.minted = counters.minted;
  status->run = std::move(run);
  if (sources.tracked) add_holders(sources, status);
  if (sources.over) add_left(sources, status);
}

void keep_command(const std::vector<std::string>& command, board::Board* board) {
  std::string line;
  for (const std::string& word : command) line += (line.empty() ? "" : " ") + word;
  board::copy_text(line, board->command);
  std::error_code error;
  board::copy_text(std::filesystem::current_path(error).string(), board->folder);
}

}  // namespace tokenpool::arbiter
