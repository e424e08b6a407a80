// Somebody of whom it was announced that he is about to make a call on the FIFO that the tracker
// does not see (see arbiter/unseen_calls.h), as the next arbiter has to know him.
#pragma once

#include <cstdint>
#include <optional>

#include <sys/types.h>

#include "core/effect.h"
#include "core/process_id.h"
#include "proc/process.h"

namespace tokenpool::board {

struct UnseenCaller {
  enum class Call : std::uint8_t {
    take,  ///< on a standard descriptor
    give,  ///< on a standard descriptor
    read   ///< left to the kernel
  };
  core::ProcessId who;
  Call call = Call::take;
  bool succeeded = false;                  ///< and has ended
  bool over = false;                       ///< of a read: its thread makes another call
  bool booked = false;                     ///< a token that it took or returned is booked to it
  pid_t thread = 0;                        ///< that makes the call
  std::optional<proc::IoCounts> before{};  ///< of the thread, when it was announced
  core::Instant since{};
  friend bool operator==(const UnseenCaller&, const UnseenCaller&) = default;
};

}  // namespace tokenpool::board
