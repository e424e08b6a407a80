#include "host/restore_books.h"

#include <algorithm>
#include <array>
#include <vector>

#include "proc/process.h"

namespace tokenpool::host {
namespace {

// The dead arbiter may have moved the byte of the call that it was answering without booking it.
void resume_step(const BookKeepers& keepers, const LeftBehind& left, core::Instant now,
                 core::Effects* effects) {
  if (left.step == Step::none) return;
  const int drift = keepers.pool.drift(keepers.fifo.level());
  const bool unanswered = keepers.listener.is_waiting(left.under_way.id);
  if (left.step == Step::taking && drift == -1) {
    if (unanswered) {
      (void)keepers.fifo.put(1);
    } else if (const auto who = keepers.kin.identify(left.under_way.thread)) {
      const std::array<core::ProcessId, 1> taker{*who};
      keepers.pool.unseen(-1, taker, true, now, effects);
    }
  } else if (left.step == Step::putting && drift == 1 && unanswered) {
    (void)keepers.fifo.take(1);
  }
}

// The same for bytes on their way to leases and back, of which nobody was told yet.
void resume_lending(const BookKeepers& keepers, int lending) {
  const int drift = keepers.pool.drift(keepers.fifo.level());
  if (lending > 0 && drift < 0) (void)keepers.fifo.put(std::min(-drift, lending));
  if (lending < 0 && drift > 0) (void)keepers.fifo.take(std::min(drift, -lending));
}

}  // namespace

void restore_books(const BookKeepers& keepers, LeftBehind* left, core::Instant now,
                   core::Effects* effects) {
  // What the dead one kept back for somebody was in neither FIFO nor ledger.
  (void)keepers.fifo.put(left->reserved);
  std::vector<core::ProcessId> dead;
  for (auto& account : left->accounts) {
    const auto info = proc::read_process(account.who.pid);
    if (info && info->id == account.who && keepers.watched.add(*info)) {
      account.ancestors = proc::ancestors_below(*info, keepers.front);
    } else {
      dead.push_back(account.who);
    }
  }
  keepers.pool.restore(left->accounts, {}, left->owed, left->lent, left->minted, left->counters);
  for (const auto& who : dead) {
    keepers.pool.ended(who, core::EndCause::unknown, {}, std::nullopt, now, effects);
  }
  resume_step(keepers, *left, now, effects);
  resume_lending(keepers, left->lending);
}

}  // namespace tokenpool::host
