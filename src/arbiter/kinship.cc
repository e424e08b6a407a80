#include "arbiter/kinship.h"

#include <utility>

#include <unistd.h>

#include "dialect/tool.h"

namespace tokenpool::arbiter {

using dialect::takes_its_own;

Kinship::Kinship(pid_t front, pid_t guardian, proc::Watchlist& watched, core::Pool& pool)
    : front_(front),
      guardian_(guardian),
      watched_(watched),
      pool_(pool),
      pid_namespace_(proc::pid_namespace(::getpid())) {
  add_subreaper(root());
}

pid_t Kinship::root() const {
  if (guardian_ == 0) return front_;
  // The guardian was the front's child like everybody that was left behind, and our parent, if it
  // lives and is not this process itself.
  const auto guardian = ::getppid() == guardian_ ? proc::read_process(guardian_) : std::nullopt;
  return guardian ? guardian->parent : ::getppid();
}

std::optional<core::ProcessId> Kinship::identify(pid_t thread) {
  // A watched process still runs, so its pid can be nobody else's and this thread is its first one.
  const auto* known = watched_.find(thread);
  const pid_t pid = known != nullptr ? thread : proc::process_of_thread(thread);
  if (pid == 0) return std::nullopt;
  if (known == nullptr) known = watched_.find(pid);
  // Whom its call brings into view is named by what it is.
  const bool is_named = known == nullptr || known->has_called;
  const auto who = adopt(pid);
  if (who && !is_named) watched_.note_call(*who);
  return who;
}

std::optional<core::ProcessId> Kinship::adopt(pid_t pid) {
  // Whom a session or an accusation has brought into view has no account yet.
  const auto* known = watched_.find(pid);
  if (known != nullptr && pool_.ledger().knows(known->info.id)) return known->info.id;
  const auto info = known != nullptr ? std::optional(known->info) : proc::read_process(pid);
  if (!info || !watched_.add(*info)) return std::nullopt;
  // Its shell may have ended since it was read, and its end is not settled yet.
  const auto remembered = [this](pid_t parent) {
    const auto* one = watched_.find(parent);
    return one == nullptr ? std::nullopt : std::optional(one->info);
  };
  const auto ancestors = proc::ancestors_below(*info, root(), remembered);
  pool_.introduce(info->id, ancestors, takes_its_own(info->name));
  find_first_of_namespace(ancestors, pid);
  if (!ancestors.empty()) {
    const auto parent = known_children_.find(ancestors.front().pid);
    if (parent != known_children_.end()) parent->second.insert(pid);
  }
  // Its shell, whose end is to be seen as well.
  if (!ancestors.empty()) (void)adopt(ancestors.front().pid);
  return info->id;
}

bool Kinship::is_client(core::ProcessId who) const {
  const auto* account = pool_.ledger().find(who);
  if (account != nullptr && (account->client || account->held() > 0)) return true;
  const auto info = proc::read_process(who.pid);
  return info && info->id == who && takes_its_own(info->name);
}

void Kinship::look_for_clients() {
  for (const auto& process : proc::descendants_of(front_)) {
    if (takes_its_own(process.name)) (void)adopt(process.id.pid);
  }
}

void Kinship::add_subreaper(pid_t pid) {
  auto& known = known_children_[pid];
  for (const auto& child : proc::children_of(pid)) known.insert(child.id.pid);
}

void Kinship::find_first_of_namespace(const std::vector<core::ProcessId>& ancestors, pid_t pid) {
  const auto inner = proc::pid_namespace(pid);
  if (inner == 0 || inner == pid_namespace_) return;
  core::ProcessId first;
  for (const core::ProcessId ancestor : ancestors) {
    if (proc::pid_namespace(ancestor.pid) == inner) first = ancestor;
  }
  if (first.pid != 0 && !known_children_.contains(first.pid)) add_subreaper(first.pid);
}

pid_t Kinship::subreaper_above(core::ProcessId who) const {
  const auto* account = pool_.ledger().find(who);
  if (account == nullptr) return root();
  for (const core::ProcessId ancestor : account->ancestors) {
    if (known_children_.contains(ancestor.pid) && proc::is_alive(ancestor)) return ancestor.pid;
  }
  return root();
}

std::vector<core::ProcessId> Kinship::orphans_of(const proc::WatchedProcess& process) {
  std::vector<core::ProcessId> orphans;
  const pid_t subreaper = subreaper_above(process.info.id);
  const auto known = std::exchange(known_children_[subreaper], {});
  for (const auto& child : proc::children_of(subreaper)) {
    // Another one may make its children known meanwhile.
    known_children_[subreaper].insert(child.id.pid);
    if (known.contains(child.id.pid)) continue;
    if (child.session != process.info.session || child.id.start < process.info.id.start) continue;
    if (const auto id = adopt(child.id.pid)) orphans.push_back(*id);
  }
  return orphans;
}

std::optional<core::ProcessId> Kinship::living_of(const std::vector<core::ProcessId>& ancestors) {
  for (const auto& ancestor : ancestors) {
    // One that has just ended and whose end is not settled yet gets it, and leaves it with the
    // rest.
    if (pool_.ledger().knows(ancestor)) return ancestor;
    if (!proc::is_alive(ancestor)) continue;
    if (const auto id = adopt(ancestor.pid); id == ancestor) return id;
  }
  return std::nullopt;
}

bool Kinship::is_ours(pid_t pid) const {
  return pid == ::getpid() || pid == front_ || pid == guardian_;
}

std::vector<core::ProcessId> Kinship::unseen_callers() const {
  std::vector<core::ProcessId> callers;
  for (const auto& [who, account] : pool_.ledger().accounts()) {
    // The front comes into view when the kernel names it for having opened the FIFO.
    if (!account.client && !is_ours(who.pid)) callers.push_back(who);
  }
  return callers;
}

std::vector<core::ProcessId> Kinship::likely_callers(const proc::FileId& fifo,
                                                     const std::array<int, 2>& inherited) {
  std::vector<core::ProcessId> all;
  std::vector<core::ProcessId> likely;
  for (const auto& opener : proc::processes_with_open(fifo, inherited)) {
    if (is_ours(opener.pid)) continue;
    const auto id = adopt(opener.pid);
    if (!id) continue;
    all.push_back(*id);
    const auto* account = pool_.ledger().find(*id);
    if (opener.under_other_number && account != nullptr && !account->client) likely.push_back(*id);
  }
  return likely.empty() ? all : likely;
}

}  // namespace tokenpool::arbiter
