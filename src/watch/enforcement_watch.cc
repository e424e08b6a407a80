#include "watch/enforcement_watch.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <unistd.h>

#include "proc/clock.h"
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

}  // namespace

EnforcementWatch::EnforcementWatch(EnforcementWatchContext context, Instant now)
    : context_(std::move(context)),
      census_(context_.front, ::getpid()),
      freezer_(context_.board),
      due_(now + kPause),
      counted_(now) {}

EnforcementWatch::~EnforcementWatch() {
  carry_out({}, proc::now());
  board::thaw_all(context_.board, true);
}

void EnforcementWatch::mark_clients(std::vector<control::TreeProcess>* tree) const {
  std::unordered_map<ProcessId, control::TreeProcess*, core::ProcessIdHash> index;
  for (control::TreeProcess& process : *tree) index[process.who] = &process;
  const auto find = [&index](ProcessId who) -> control::TreeProcess* {
    const auto found = index.find(who);
    return found == index.end() ? nullptr : found->second;
  };
  for (const auto& [who, account] : context_.pool->ledger().accounts()) {
    control::TreeProcess* process = find(who);
    if (process != nullptr && (account.client || account.held() > 0)) process->coordinates = true;
  }
  // A launcher asks for its job, which owns the lease; a client asks for those that it starts.
  const auto asker = [&](core::SessionId session, ProcessId client) {
    const auto process = session == 0 ? std::nullopt : context_.process_of(session);
    return find(process.value_or(client));
  };
  for (const auto& [id, lease] : context_.leases->leases()) {
    control::TreeProcess* process = asker(lease.session, lease.client);
    if (process == nullptr) continue;
    process->coordinates = true;
    process->slots = std::max(process->slots, lease.slots);
  }
  for (const core::LeaseRequest* request : context_.leases->waiting()) {
    control::TreeProcess* process = asker(request->session, request->client);
    if (process == nullptr) continue;
    process->coordinates = true;
    process->waits = true;
  }
  for (const ProcessId who : context_.uncooperative()) {
    if (control::TreeProcess* process = find(who); process != nullptr)
      process->uncooperative = true;
  }
}

std::vector<control::TreeProcess> EnforcementWatch::tree_of(
    const proc::CensusSample& census) const {
  std::vector<control::TreeProcess> tree;
  tree.reserve(census.rows.size());
  for (const proc::CensusRow& row : census.rows) {
    if (row.state == 'Z' || row.state == 'X') continue;
    control::TreeProcess process{.who = row.who, .parent = row.parent, .name = row.name};
    process.stopped = is_stopped(row.state);
    process.blocked = row.state == 'D';
    process.signalled = process.stopped && frozen() > 0 && proc::has_waiting_signal(row.who.pid);
    process.group = ::getpgid(row.who.pid);
    tree.push_back(std::move(process));
  }
  mark_clients(&tree);
  return tree;
}

void EnforcementWatch::step(Instant now) {
  control::EnforcementSample sample{.in_use = context_.in_use(),
                                    .allowed = context_.allowed(),
                                    .processes = {},
                                    .front = context_.front};
  due_ = now + kPause;
  if (context_.board->freezes_no_more) {
    carry_out({}, now);
    board::thaw_all(context_.board, true);
    law_ = {};
  }
  if (context_.board->freezes_no_more || (sample.in_use <= sample.allowed && frozen() == 0)) {
    law_.calm(now);
    return census_.forget();
  }
  const proc::CensusSample census = census_.sample(now);
  sample.processes = tree_of(census);
  carry_out(law_.step(sample, now), now);
  due_ = now + std::max(frozen() > 0 ? kFrozenPause : kPause, kCostShare * census.cost);
}

void EnforcementWatch::carry_out(const control::EnforcementStep& step, Instant now) {
  board::Board& board = *context_.board;
  board.frozen_ns += counted_jobs_ * (now - counted_).count();
  for (const ProcessId who : step.thaw) freezer_.thaw(who);
  for (const std::vector<ProcessId>& job : step.freeze) {
    ++board.freeze_count;  // before anybody can see it stand still: this process may die then
    if (std::all_of(job.begin(), job.end(), [&](ProcessId who) { return freezer_.freeze(who); })) {
      continue;
    }
    --board.freeze_count;
    for (const ProcessId who : job) freezer_.thaw(who);
    law_.give_up(job.front(), now);
  }
  counted_ = now;
  counted_jobs_ = frozen();
  board.frozen_peak = std::max(board.frozen_peak, static_cast<std::uint32_t>(counted_jobs_));
  if (counted_jobs_ > 0 && !std::exchange(told_, true)) context_.tell();
}

}  // namespace tokenpool::watch
