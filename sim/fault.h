// What a simulated world does wrong on purpose, to show that its audit notices.
#pragma once

#include <cstdint>

namespace tokenpool::sim {

enum class Fault : std::uint8_t {
  none,
  byte_lost,      ///< a byte that the arbiter puts into the FIFO does not get there
  death_unseen,   ///< nobody tells the pool that a process that held tokens has ended
  supply_lost,    ///< of what is lent to the leases one slot too few is supplied
  session_kept,   ///< nobody tells the pool that a session with leases has ended
  limit_ignored,  ///< nobody tells the pool of the limit of a type
  owner_unseen,   ///< nobody tells the pool that a process that leases belong to has ended
  time_ignored,   ///< nobody tells the pool of leases that a deadline has come
  grace_skipped,  ///< a new arbiter grants before its clients could declare what they hold
};

}  // namespace tokenpool::sim
