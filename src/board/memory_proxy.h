// A token is delivered by writing it into the memory of the process that reads. Where Yama's
// ptrace_scope is 1 (the default of Ubuntu and Arch), only an ancestor of that process may: the
// front is one, the arbiter is not. So the arbiter asks and the front writes. What is asked is in
// shared memory, where the arbiter can also withdraw it when the front is stopped (Ctrl-Z).
//
// Source: Documentation/admin-guide/LSM/Yama.rst; process_vm_writev(2).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include "jobserver/seccomp.h"

namespace tokenpool::board {

enum class WriteState : std::uint32_t {
  idle,     ///< nothing is asked; the arbiter may ask
  asked,    ///< the front may begin, the arbiter may withdraw
  writing,  ///< the front is at it; the arbiter waits
  done,
  gone,
  unwritable,
};

/// Shared by both; zeroed, it is idle.
struct WriteRequest {
  std::atomic<WriteState> state{WriteState::idle};
  jobserver::Notification call;  ///< written by the arbiter while idle
};

/// The arbiter's side: wakes the front by `ask` (false: there is none) and waits for it to write a
/// token for `call`, at most kFrontPatience for it to begin; one that has begun is waited for as
/// long as `front_lives`. Where the front does not come to it, the answer is `unwritable` and
/// nothing is written any more.
jobserver::Delivery write_through_front(WriteRequest* request, const jobserver::Notification& call,
                                        const std::function<bool()>& ask,
                                        const std::function<bool()>& front_lives);

/// The front's side: carries out what is asked, if anything is.
void write_for_arbiter(WriteRequest* request, const jobserver::Listener& listener);

}  // namespace tokenpool::board
