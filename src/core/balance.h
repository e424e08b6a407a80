// One pool for both: tokens of the GNU make jobserver become slots of leases and back.
//
// Tokens lie in the pool of tokens. The pool of leases gets what it can put to use at once as long
// as nobody who reads waits for it; beyond that it waits in line with the readers, one token at a
// time, with as many slots to its name as the client has that is next (the policy of core/pool.h).
// What no lease can use goes back at once, and so does every slot that a lease gives back: whoever
// is next in either pool gets it, and who polls gets to look at every second one.
#pragma once

#include "core/lease_pool.h"
#include "core/pool.h"

namespace tokenpool::core {

/// To be called after every event of either pool and again when its effects are carried out, until
/// it adds no effect. Pure.
void balance(Pool* tokens, LeasePool* leases, Instant now, Effects* effects,
             LeaseEffects* lease_effects);

/// The same where the pool of tokens does not know who holds them, so that its free() is no more
/// than a bound: `level` is what lies in the FIFO. Answers whether somebody waits for more to lie
/// there.
[[nodiscard]] bool balance_untracked(Pool* tokens, LeasePool* leases, int level, Instant now,
                                     Effects* effects, LeaseEffects* lease_effects);

}  // namespace tokenpool::core
