#include "core/balance.h"

#include <algorithm>

namespace tokenpool::core {

void balance(Pool* tokens, LeasePool* leases, Instant now, Effects* effects,
             LeaseEffects* lease_effects) {
  leases->share();
  leases->set_owed(tokens->owed());
  if (!leases->demand(now)) tokens->stop_borrowing(now, effects);
  if (const int useful = leases->useful(tokens->lendable(), now); useful > 0) {
    // What is then still wanted is asked for when this has arrived.
    tokens->lend(useful, now, effects);
    return;
  }
  leases->reconsider(now, lease_effects);
  const auto demand = leases->demand(now);
  if (demand) {
    tokens->borrow(demand->client, demand->held, demand->since, now, effects);
  } else {
    tokens->stop_borrowing(now, effects);
  }
  int back = std::min(leases->surplus(now), tokens->lent());
  // Given back only when the leases are in line, and one by one as long as they are: so they
  // compete for each with whoever reads or polls. A token that has no effect has paid a debt.
  const int piece = demand ? 1 : back;
  for (bool rests = true; rests && back > 0; back -= piece) {
    tokens->repay(piece, now, effects);
    leases->set_owed(tokens->owed());
    leases->supply(-piece, now, lease_effects);
    rests = effects->empty();
  }
}

bool balance_untracked(Pool* tokens, LeasePool* leases, int level, Instant now, Effects* effects,
                       LeaseEffects* lease_effects) {
  leases->share();
  if (const int back = std::min(leases->surplus(now), tokens->lent()); back > 0) {
    leases->supply(-back, now, lease_effects);
    tokens->repay(back, now, effects);
    return leases->demand(now).has_value();
  }
  const int available = std::min(level, tokens->lendable());
  const int useful = leases->useful(available, now);
  const int piece = useful == 0 && available > 0 && leases->demand(now) ? 1 : 0;
  tokens->lend(useful + piece, now, effects);
  if (useful == 0) leases->reconsider(now, lease_effects);
  return useful + piece == 0 && leases->demand(now).has_value();
}

}  // namespace tokenpool::core
