// The part of the pool that lends tokens to the pool of leases.
#include <algorithm>

#include "core/check.h"
#include "core/pool.h"

namespace tokenpool::core {
namespace {

// No stopped call has this number: the kernel's cookies count up from 1.
constexpr RequestId kBorrowed = ~RequestId{0};

void emit_lend(Effects* effects, Effect::Kind kind, int count) {
  Effect effect;
  effect.kind = kind;
  effect.count = count;
  effect.request = kBorrowed;
  effects->push_back(std::move(effect));
}

}  // namespace

void Pool::lend(int count, Instant now, Effects* effects) {
  TOKENPOOL_CHECK(count >= 0 && count <= lendable());
  if (count == 0) return;
  begin(now);
  free_ -= count;
  lent_ += count;
  emit_lend(effects, Effect::Kind::lend_from_fifo, count);
  finish(now, effects);
}

void Pool::lend_one(bool from_fifo, Effects* effects) {
  ++lent_;
  emit_lend(effects, from_fifo ? Effect::Kind::lend_from_fifo : Effect::Kind::lend_direct, 1);
}

void Pool::lend_failed(int count) {
  TOKENPOOL_CHECK(count >= 0 && count <= lent_);
  lent_ -= count;
  free_ += count;
  // No finish(): it would serve somebody with bytes that are not there. See grant_failed().
  if (count > 0) recheck_at_ = Instant{};
  TOKENPOOL_CHECK(missing() == 0);
}

void Pool::repay(int count, Instant now, Effects* effects) {
  TOKENPOOL_CHECK(count >= 0 && count <= lent_);
  begin(now);
  lent_ -= count;
  place(count, now, effects);
  finish(now, effects);
}

const Request* Pool::borrowing() const {
  const auto found = std::find_if(waiting_.begin(), waiting_.end(),
                                  [](const Request& request) { return request.lease; });
  return found == waiting_.end() ? nullptr : &*found;
}

void Pool::borrow(ProcessId who, int held, Instant since, Instant now, Effects* effects) {
  const Request request{kBorrowed, who, true, true, held, since};
  const auto wait = std::find_if(waiting_.begin(), waiting_.end(),
                                 [](const Request& other) { return other.lease; });
  if (wait != waiting_.end() && *wait == request) return;
  begin(now);
  if (wait != waiting_.end()) take_waiting(static_cast<std::size_t>(wait - waiting_.begin()));
  if (lendable() > 0) {
    grant(request, true, effects);
  } else {
    // It has waited as long as the lease that it is for.
    const auto place = std::upper_bound(since_.begin(), since_.end(), since);
    waiting_.insert(waiting_.begin() + (place - since_.begin()), request);
    since_.insert(place, since);
  }
  finish(now, effects);
}

void Pool::stop_borrowing(Instant now, Effects* effects) {
  if (borrowing() != nullptr) cancel(kBorrowed, now, effects);
  if (waiting_.empty()) close_offer(false);
}

}  // namespace tokenpool::core
