#include "arbiter/restore_books.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "proc/process.h"

namespace tokenpool::arbiter {
namespace {

/// Bytes that may be missing in the FIFO, or too many there, because somebody died in between.
struct Doubt {
  int missing = 0;
  int too_many = 0;
};

core::Account& account_of(core::ProcessId who, board::LeftBehind* left) {
  const auto known = std::find_if(left->accounts.begin(), left->accounts.end(),
                                  [&](const core::Account& account) { return account.who == who; });
  if (known != left->accounts.end()) return *known;
  core::Account account;
  account.who = who;
  return left->accounts.emplace_back(std::move(account));
}

// Readers that went on with a token have it, whatever the page says.
Doubt book_grants(const BookKeepers& keepers, board::LeftBehind* left) {
  // What was kept back for somebody was in neither FIFO nor ledger.
  Doubt doubt{.missing = left->reserved + std::max(0, left->moving),
              .too_many = std::max(0, -left->moving)};
  for (const board::AnnouncedCall& grant : left->grants) {
    if (keepers.is_waiting(grant.id)) {
      doubt.missing += grant.from_fifo ? 1 : 0;
      continue;
    }
    // Where a token went from hand to hand, its origin is not booked: it lies in the FIFO for now.
    doubt.too_many += grant.from_fifo ? 0 : 1;
    ++account_of(grant.who, left).own;
    ++left->counters.taken;
  }
  return doubt;
}

// A write that nobody waits for any more has been answered, or was interrupted by a signal and is
// made again.
bool has_given(const BookKeepers& keepers, const board::LeftBehind& left) {
  if (!left.given || keepers.is_waiting(left.given->id)) return false;
  const auto& last = left.received;
  const bool is_known = left.answered || !last || last->id != left.given->id;
  return is_known || !keepers.is_writing(*last);
}

void even_out(const BookKeepers& keepers, int unseen, Doubt doubt) {
  const int drift = keepers.pool.drift(keepers.fifo.level()) + unseen;
  if (drift < 0) (void)keepers.fifo.put(std::min(-drift, doubt.missing));
  if (drift > 0) (void)keepers.fifo.take(std::min(drift, doubt.too_many));
}

}  // namespace

void restore_books(const BookKeepers& keepers, board::LeftBehind* left, core::Instant now,
                   core::Effects* effects) {
  Doubt doubt = book_grants(keepers, left);
  const bool gives = has_given(keepers, *left);
  if (gives) {
    (void)account_of(left->given->who, left);
    ++doubt.too_many;
  }
  int unknown = left->unseen;
  for (const core::UnseenTake& take : left->takes) {
    unknown -= take.count;
    for (const core::ProcessId who : take.suspects) (void)account_of(who, left);
  }
  std::vector<core::ProcessId> dead;
  for (auto& account : left->accounts) {
    const auto info = proc::read_process(account.who.pid);
    if (info && info->id == account.who && keepers.watched.add(*info)) {
      account.ancestors = proc::ancestors_below(*info, keepers.root);
    } else {
      dead.push_back(account.who);
    }
  }
  keepers.pool.restore(left->accounts, left->takes, left->owed, left->lent, left->minted,
                       left->counters);
  even_out(keepers, unknown, doubt);
  if (gives) keepers.pool.give(left->given->who, 1, now, effects);
  for (const auto& who : dead) {
    keepers.pool.ended(who, core::EndCause::unknown, {}, std::nullopt, now, effects);
  }
}

}  // namespace tokenpool::arbiter
