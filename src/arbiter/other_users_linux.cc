#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include <unistd.h>

#include "arbiter/other_users.h"
#include "board/board.h"
#include "jobserver/run_folder.h"
#include "proc/environ.h"
#include "proc/process.h"
#include "proc/user_access.h"

namespace tokenpool::arbiter {
namespace {

constexpr unsigned kEnter = 1;
constexpr unsigned kRead = 4;
constexpr unsigned kReadAndWrite = 6;

// Any of the programs there: all are one.
std::string shim_in(const std::vector<std::string>& environment, std::string_view variable,
                    std::string_view name) {
  for (const std::string& one : environment) {
    if (!one.starts_with(variable) || one.size() == variable.size()) continue;
    return one.substr(variable.size()) + std::string(name);
  }
  return {};
}

}  // namespace

OtherUsers::OtherUsers(std::string folder, session::Connections* connections, board::BoardLog* log,
                       const FrontLine* front)
    : folder_(std::move(folder)), connections_(*connections), log_(log), front_(*front) {
  for (const uid_t user : log_->users()) connections_.admit(user);
}

std::string OtherUsers::out_of_reach(pid_t thread, uid_t user) const {
  std::string fifo = folder_ + "/" + std::string(jobserver::kFifoName);
  if (!proc::user_may(fifo, user, R_OK | W_OK)) return fifo;
  const auto environment = proc::initial_environment(thread);
  for (const auto& [variable, name] :
       {std::pair{"TOKENPOOL_SHIMS=", "/make"}, {"TOKENPOOL_WRAP=", ""}}) {
    std::string shim = shim_in(environment, variable, name);
    if (!shim.empty() && !proc::user_may(shim, user, X_OK)) return shim;
  }
  return {};
}

void OtherUsers::let_in(pid_t thread, uid_t user) {
  const auto outside = proc::user_outside(thread, user);
  if (!outside || *outside == ::geteuid()) return;
  const std::vector<uid_t> known = log_->users();
  if (std::find(known.begin(), known.end(), *outside) != known.end()) return;
  const auto below = [&](std::string_view name) { return folder_ + "/" + std::string(name); };
  (void)proc::allow_user(folder_, *outside, kEnter);
  (void)proc::allow_user(below(jobserver::kFifoName), *outside, kReadAndWrite);
  (void)proc::allow_user(below(jobserver::kSocketName), *outside, kReadAndWrite);
  (void)proc::allow_user(below(jobserver::kEnvironmentName), *outside, kRead);
  const std::string file = out_of_reach(thread, *outside);
  board::OtherUserRow row{.user = *outside, .pid = proc::process_of_thread(thread)};
  board::copy_text(file, row.out_of_reach);
  board::copy_text(proc::command_of(row.pid), row.command);
  if (!log_->add_user(row)) return;
  connections_.admit(*outside);
  if (!file.empty()) front_.tell_news();
}

}  // namespace tokenpool::arbiter
