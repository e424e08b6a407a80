#include "watch/enforcement_watch.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <unistd.h>

#include "proc/process.h"

namespace tokenpool::watch {
namespace {

using core::Instant;
using core::ProcessId;
using std::chrono::milliseconds;

constexpr Instant kPause = milliseconds(250);
// A slot that comes free is to be used again.
constexpr Instant kFrozenPause = milliseconds(100);
// Walks take this share of a CPU at most.
constexpr int kCostShare = 100;

bool is_stopped(char state) { return state == 'T' || state == 't'; }

void mark_clients(const BuildView& view, std::vector<control::TreeProcess>* tree) {
  std::unordered_map<ProcessId, control::TreeProcess*, core::ProcessIdHash> index;
  for (control::TreeProcess& process : *tree) index[process.who] = &process;
  const auto find = [&index](ProcessId who) -> control::TreeProcess* {
    const auto found = index.find(who);
    return found == index.end() ? nullptr : found->second;
  };
  for (const auto& [who, account] : view.pool->ledger().accounts()) {
    control::TreeProcess* process = find(who);
    if (process != nullptr && (account.client || account.held() > 0)) process->coordinates = true;
  }
  // A launcher asks for its job, which owns the lease; a client asks for those that it starts.
  const auto asker = [&](core::SessionId session, ProcessId client) {
    return find(view.asker_of(session, client));
  };
  for (const auto& [id, lease] : view.leases->leases()) {
    control::TreeProcess* process = asker(lease.session, lease.client);
    if (process == nullptr) continue;
    process->coordinates = true;
    process->slots = std::max(process->slots, lease.slots);
  }
  for (const core::LeaseRequest* request : view.leases->waiting()) {
    control::TreeProcess* process = asker(request->session, request->client);
    if (process == nullptr) continue;
    process->coordinates = true;
    process->waits = true;
  }
  for (const ProcessId who : view.accused) {
    if (control::TreeProcess* process = find(who); process != nullptr)
      process->uncooperative = true;
  }
}

}  // namespace

EnforcementWatch::EnforcementWatch(Instant now) : due_(now + kPause) {}

std::vector<control::TreeProcess> EnforcementWatch::tree_of(const BuildView& view) const {
  std::vector<control::TreeProcess> tree;
  tree.reserve(view.walk().rows.size());
  for (const proc::CensusRow& row : view.walk().rows) {
    if (row.state == 'Z' || row.state == 'X') continue;
    control::TreeProcess process{.who = row.who, .parent = row.parent, .name = row.name};
    process.stopped = is_stopped(row.state);
    process.blocked = row.state == 'D';
    process.signalled = process.stopped && frozen() > 0 && proc::has_waiting_signal(row.who.pid);
    process.group = ::getpgid(row.who.pid);
    tree.push_back(std::move(process));
  }
  mark_clients(view, &tree);
  return tree;
}

control::EnforcementStep EnforcementWatch::look(const BuildView& view) {
  due_ = view.now + kPause;
  if (!view.may_freeze) law_ = {};
  // What is stuck has another slot in its place.
  const int in_use = view.in_use - (view.tracked ? view.pool->minted() : 0);
  if (!view.may_freeze || (in_use <= view.allowed && frozen() == 0)) {
    law_.calm(view.now);
    return {};
  }
  control::EnforcementStep step = law_.step(
      {.in_use = in_use, .allowed = view.allowed, .processes = tree_of(view), .front = view.root},
      view.now);
  due_ = view.now + std::max(frozen() > 0 ? kFrozenPause : kPause, kCostShare * view.walk().cost);
  return step;
}

void EnforcementWatch::could_not(const std::vector<ProcessId>& job, Instant now) {
  law_.give_up(job.front(), now);
}

}  // namespace tokenpool::watch
