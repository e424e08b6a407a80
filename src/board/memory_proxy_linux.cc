#include <chrono>
#include <ctime>

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "board/memory_proxy.h"

namespace tokenpool::board {
namespace {

using jobserver::Delivery;
using std::chrono::steady_clock;

// A front that runs is there within a millisecond; one that is stopped may be so for hours.
constexpr auto kFrontPatience = std::chrono::milliseconds(100);

std::uint32_t* word_of(std::atomic<WriteState>* state) {
  static_assert(sizeof(std::atomic<WriteState>) == sizeof(std::uint32_t));
  return reinterpret_cast<std::uint32_t*>(state);
}

// Returns when the state may have changed, or after `patience`.
void wait_while(WriteRequest* request, WriteState state, std::chrono::nanoseconds patience) {
  const timespec limit{patience.count() / 1'000'000'000, patience.count() % 1'000'000'000};
  ::syscall(SYS_futex, word_of(&request->state), FUTEX_WAIT, static_cast<std::uint32_t>(state),
            &limit, nullptr, 0);
}

Delivery delivery_of(WriteState state) {
  if (state == WriteState::done) return Delivery::done;
  return state == WriteState::gone ? Delivery::gone : Delivery::unwritable;
}

WriteState state_of(Delivery delivery) {
  switch (delivery) {
    case Delivery::done:
      return WriteState::done;
    case Delivery::gone:
      return WriteState::gone;
    case Delivery::unwritable:
      break;
  }
  return WriteState::unwritable;
}

}  // namespace

Delivery write_through_front(WriteRequest* request, const jobserver::Notification& call,
                             const std::function<bool()>& ask,
                             const std::function<bool()>& front_lives) {
  request->call = call;
  request->state = WriteState::asked;
  if (!ask()) {
    request->state = WriteState::idle;
    return Delivery::unwritable;
  }
  const auto deadline = steady_clock::now() + kFrontPatience;
  WriteState state = request->state;
  while (state == WriteState::asked || state == WriteState::writing) {
    const auto left = deadline - steady_clock::now();
    if (state == WriteState::asked && left <= left.zero()) {
      // Fails when the front has begun meanwhile; `state` is then what it is now.
      if (request->state.compare_exchange_strong(state, WriteState::idle)) {
        return Delivery::unwritable;
      }
      continue;
    }
    wait_while(request, state, state == WriteState::writing ? kFrontPatience : left);
    state = request->state;
    if (state == WriteState::writing && !front_lives()) state = WriteState::unwritable;
  }
  request->state = WriteState::idle;
  return delivery_of(state);
}

void write_for_arbiter(WriteRequest* request, const jobserver::Listener& listener) {
  WriteState asked = WriteState::asked;
  if (!request->state.compare_exchange_strong(asked, WriteState::writing)) return;
  request->state = state_of(listener.write_token(request->call));
  ::syscall(SYS_futex, word_of(&request->state), FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

}  // namespace tokenpool::board
