// What the pool of tokens (core/pool.h) keeps of those that ask.
#pragma once

#include <optional>

#include "core/effect.h"
#include "core/process_id.h"

namespace tokenpool::core {

struct Asker {  ///< what is known of a client's way of asking
  Instant last_ask{};
  Instant interval{};  ///< between its last two asks
  std::optional<Instant> last_give;
  int blind = 0;   ///< blind asks in a row
  int passed = 0;  ///< refusals in a row
  bool ever_blind = false;
  bool was_polite = false;  ///< has been refused once since its last return
  bool active = false;      ///< is among those that asked of late
};

struct Reservation {
  ProcessId who;
  Instant until{};
};

struct Waiter {
  ProcessId who;
  Instant since{};
};

}  // namespace tokenpool::core
