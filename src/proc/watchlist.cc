#include "proc/watchlist.h"

#include <unordered_map>
#include <utility>

#include <poll.h>
#include <unistd.h>

namespace tokenpool::proc {

struct Watchlist::Entry {
  Entry(WatchedProcess watched, int fd) : process(std::move(watched)), pidfd(fd) {}
  ~Entry() {
    if (pidfd >= 0) ::close(pidfd);
  }
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;

  WatchedProcess process;
  int pidfd;  ///< -1: there is none that can be waited for
};

struct Watchlist::State {
  EventLoop& loop;
  OnEnd on_end;
  std::unordered_map<pid_t, std::unique_ptr<Entry>> entries;
};

Watchlist::Watchlist(EventLoop& loop, OnEnd on_end)
    : state_(std::make_unique<State>(State{loop, std::move(on_end), {}})) {}

Watchlist::~Watchlist() {
  for (const auto& [pid, entry] : state_->entries) state_->loop.forget(entry->pidfd);
}

const WatchedProcess* Watchlist::find(pid_t pid) const {
  const auto found = state_->entries.find(pid);
  return found == state_->entries.end() ? nullptr : &found->second->process;
}

bool Watchlist::add(const ProcessInfo& info) {
  if (const auto* known = find(info.id.pid)) {
    if (known->info.id == info.id) return true;
    report(info.id.pid);  // the pid has a new owner, so the old one has ended
  }
  int fd = open_pidfd(info.id.pid);
  if (fd >= 0 && !is_to_spare(fd)) {
    ::close(fd);
    fd = -1;
  }
  if (fd < 0 && !is_alive(info.id)) return false;
  auto entry = std::make_unique<Entry>(
      WatchedProcess{info, command_of(info.id.pid), std::nullopt, false}, fd);
  const bool is_told = fd >= 0 && state_->loop.watch(fd, [this, id = info.id](bool) {
    const auto* known = find(id.pid);
    if (known != nullptr && known->info.id == id) report(id.pid);
  });
  if (!is_told) {
    if (fd >= 0) ::close(std::exchange(entry->pidfd, -1));
    ++unwatchable_;
  }
  state_->entries[info.id.pid] = std::move(entry);
  return true;
}

bool Watchlist::add(core::ProcessId who) {
  const auto info = read_process(who.pid);
  return info && info->id == who && add(*info);
}

void Watchlist::report(pid_t pid) {
  const auto found = state_->entries.find(pid);
  const auto entry = std::move(found->second);
  state_->entries.erase(found);
  if (entry->pidfd < 0) --unwatchable_;
  state_->loop.forget(entry->pidfd);
  state_->on_end(entry->process, entry->pidfd);
}

void Watchlist::look_again(core::ProcessId who) {
  const auto found = state_->entries.find(who.pid);
  if (found == state_->entries.end()) return;
  WatchedProcess& known = found->second->process;
  std::string command = command_of(who.pid);
  // Asked afterwards, so that the line is of this process and not of the pid's next owner.
  const auto info = read_process(who.pid);
  if (!info || info->id != who || known.info.id != who) return;
  if (info->state == 'Z' && info->name == known.info.name) return;
  known.command = std::move(command);
}

void Watchlist::note_call(core::ProcessId who) {
  const auto found = state_->entries.find(who.pid);
  if (found == state_->entries.end()) return;
  if (!std::exchange(found->second->process.has_called, true)) look_again(who);
}

void Watchlist::note_exit(pid_t pid, int status) {
  const auto found = state_->entries.find(pid);
  if (found != state_->entries.end()) found->second->process.exit_status = status;
}

bool Watchlist::has_ended(Entry& entry) {
  if (entry.pidfd < 0) return !is_alive(entry.process.info.id);
  pollfd ready{entry.pidfd, POLLIN, 0};
  return ::poll(&ready, 1, 0) == 1;
}

void Watchlist::sweep() {
  std::vector<core::ProcessId> all;
  for (const auto& [pid, entry] : state_->entries) {
    if (has_ended(*entry)) all.push_back(entry->process.info.id);
  }
  for (const core::ProcessId who : all) look_at(who);
}

void Watchlist::look_at(core::ProcessId who) {
  const auto found = state_->entries.find(who.pid);
  if (found == state_->entries.end() || found->second->process.info.id != who) return;
  if (has_ended(*found->second)) report(who.pid);
}

}  // namespace tokenpool::proc
