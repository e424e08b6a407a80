#include "arbiter/payers.h"

#include <algorithm>

#include "core/limits.h"
#include "proc/clock.h"
#include "proc/process.h"

namespace tokenpool::arbiter {
namespace {

using core::Instant;
using core::Payer;
using core::ProcessId;

// Looking at all processes of the build takes at most so large a part of the time.
constexpr int kLookShare = 10;

}  // namespace

session::Standing Payers::standing(std::optional<ProcessId> process, core::LeaseId under,
                                   bool launcher) const {
  session::Standing standing;
  if (!process) {
    if (leases_.find(under) != nullptr) standing.payer = {Payer::Kind::lease, {}, under};
    return standing;
  }
  standing.client = *process;
  const auto info = proc::read_process(process->pid);
  if (launcher && info) {
    if (const auto parent = proc::read_process(info->parent)) standing.client = parent->id;
  }
  standing.payer = payer_of(*process, under);
  return standing;
}

// Nearest first: who started it, and as what.
Payer Payers::payer_of(ProcessId process, core::LeaseId under) const {
  const auto info = proc::read_process(process.pid);
  const bool is_known = leases_.find(under) != nullptr;
  // Who holds it comes back to a new arbiter at the same time as those below it.
  const bool is_expected = under != 0 && !is_known && leases_.in_grace();
  const Payer named = is_known || is_expected ? Payer{Payer::Kind::lease, {}, under, {}} : Payer{};
  if (!info || is_expected) return named;
  const auto ancestors = proc::ancestors_below(*info, parts_.config->front);
  // A launcher below a launcher is the job of one lease and holds another, so the number decides.
  if (is_of(under, process)) return named;
  ProcessId child = process;
  for (const ProcessId ancestor : ancestors) {
    if (is_of(under, ancestor)) return named;
    if (const core::LeaseId lease = lease_of(ancestor); lease != 0) {
      return {Payer::Kind::lease, {}, lease};
    }
    if (is_client(ancestor)) return {Payer::Kind::process, ancestor, 0, child};
    child = ancestor;
  }
  if (ancestors.empty() && info->parent != parts_.config->front) return named;  // not of the build
  return {Payer::Kind::root, {}, 0};
}

bool Payers::is_client(ProcessId who) const {
  // An old ninja has none of it, a make that left the pool has closed what it inherited.
  return parts_.kin->is_client(who) &&
         (tracked_ || proc::uses_file(who.pid, parts_.config->fifo->id(),
                                      {parts_.begin->read_end, parts_.begin->write_end}));
}

bool Payers::is_of(core::LeaseId id, ProcessId process) const {
  const core::Lease* lease = leases_.find(id);
  if (lease == nullptr) return false;
  const core::SessionId session = sessions_.session_of(process);
  return lease->owner == process || (session != 0 && lease->session == session);
}

core::LeaseId Payers::lease_of(ProcessId process) const {
  if (const core::LeaseId lease = leases_.any_of(process); lease != 0) return lease;
  const core::SessionId session = sessions_.session_of(process);
  return session == 0 ? 0 : leases_.any_of(session);
}

int Payers::covered(const Payer& payer) const {
  switch (payer.kind) {
    case Payer::Kind::root:
      return root_is_free_ ? 1 : 0;
    case Payer::Kind::process: {
      // Whose tokens nobody counts is believed to have one for each child.
      if (!tracked_) return core::kMaxSlots;
      const auto* account = parts_.pool->ledger().find(payer.process);
      return 1 + (account == nullptr ? 0 : account->held());
    }
    case Payer::Kind::nobody:
    case Payer::Kind::lease:
      return 0;
  }
  return 0;
}

// The command's implicit slot is in use while a client of tokens runs that no lease was taken for.
// Who has made a call is known. For those that are clients only by their names all processes have
// to be looked at, so that is not done for each request: one that came meanwhile is found at the
// next look, as one is that comes right behind a look.
void Payers::look_at_root(Instant now) {
  const bool has_client = root_has_client();
  const bool may_look = look_due_ <= now;
  look_is_missing_ = !has_client && !may_look && !root_is_free_;
  if (has_client) root_is_free_ = false;
  if (has_client || !may_look) return;
  const Instant begin = proc::now();
  parts_.kin->look_for_clients();
  look_due_ = proc::now() + kLookShare * (proc::now() - begin);
  root_is_free_ = !root_has_client();
}

bool Payers::root_has_client() const {
  const auto& accounts = parts_.pool->ledger().accounts();
  return std::any_of(accounts.begin(), accounts.end(), [this](const auto& entry) {
    const core::Account& account = entry.second;
    if (!account.client && account.held() == 0) return false;
    if (lease_of(account.who) != 0) return false;
    return std::none_of(account.ancestors.begin(), account.ancestors.end(),
                        [this](ProcessId ancestor) { return lease_of(ancestor) != 0; });
  });
}

void Payers::recheck_root() {
  if (root_is_free_) root_is_free_ = !root_has_client();
}

std::optional<Instant> Payers::next_look() const {
  return look_is_missing_ ? std::optional(look_due_) : std::nullopt;
}

}  // namespace tokenpool::arbiter
