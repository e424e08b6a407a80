#include "arbiter/carrier.h"

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "board/begin.h"
#include "board/memory_proxy.h"
#include "core/check.h"
#include "proc/clock.h"
#include "proc/process.h"

namespace tokenpool::arbiter {

using core::Effect;
using core::Instant;
using jobserver::Delivery;
using jobserver::Notification;

void Carrier::carry_out(Instant event) {
  event_ = event;
  // Carrying out one effect may append more, or lead back here; each is carried out once, in order.
  while (next_ < world_.effects.size()) {
    const Effect effect = world_.effects[next_++];
    apply(effect);
  }
  world_.effects.clear();
  next_ = 0;
  for (const auto& [call, request] : unwritable_) {
    world_.books.unseen().expect_read(request.who, call.thread);
    (void)world_.listener->let_continue(call);
  }
  unwritable_.clear();
}

void Carrier::apply(const Effect& effect) {
  switch (effect.kind) {
    case Effect::Kind::grant_from_fifo:
      grant(effect, true);
      break;
    case Effect::Kind::grant_direct:
      grant(effect, false);
      break;
    case Effect::Kind::refuse:
      refuse(effect);
      break;
    case Effect::Kind::put:
      put(effect.count);
      break;
    case Effect::Kind::drain:
      drain(effect.count);
      break;
    case Effect::Kind::lend_from_fifo:
      lend(effect.count);
      break;
    case Effect::Kind::lend_direct:
      world_.log.announce_move(world_.pool);
      world_.leases.supply(effect.count, event_);
      break;
    case Effect::Kind::recovered: {
      const auto micros =
          std::chrono::duration_cast<std::chrono::microseconds>(proc::now() - event_).count();
      world_.log.add_recovery(effect, micros);
      break;
    }
    case Effect::Kind::refused:
      world_.log.add_refusal(
          effect.who, effect.count,
          effect.who.pid == 0 ? std::string() : proc::command_of(effect.who.pid));
      break;
  }
}

void Carrier::grant(const Effect& effect, bool from_fifo) {
  TOKENPOOL_CHECK(world_.waiting.contains(effect.request));
  StoppedCall waiting = world_.waiting.at(effect.request);
  world_.log.announce_grant(
      {.who = waiting.request.who, .id = effect.request, .from_fifo = from_fifo});
  touched_ = touched_ || from_fifo;
  if (from_fifo && world_.fifo.take(1) == 0) {
    world_.log.revoke_grant();
    // Until now it made no difference.
    waiting.request.blocking =
        !proc::descriptor_is_nonblocking(waiting.call.thread, waiting.call.fd);
    world_.waiting.add(waiting);
    world_.pool.grant_failed(waiting.request, true, core::GrantFailure::byte_missing, proc::now(),
                             &world_.effects);
    world_.books.settle();
    return;
  }
  const Delivery delivery = deliver(waiting.call);
  (void)world_.waiting.take(effect.request);
  if (delivery == Delivery::done) return;
  world_.log.revoke_grant();
  // The kernel can write where nobody else can; what it takes for the reader is found as any call
  // that was announced and not seen.
  if (delivery == Delivery::unwritable) unwritable_.push_back(waiting);
  world_.pool.grant_failed(waiting.request, from_fifo, core::GrantFailure::caller_gone, proc::now(),
                           &world_.effects);
}

// A byte that is still to be taken out need not be.
void Carrier::put(int count) {
  world_.log.announce_move(world_.pool);
  touched_ = true;
  const int kept = std::min(owed_, count);
  owed_ -= kept;
  (void)world_.fifo.put(count - kept);
}

// Where calls are seen, what is not there was taken by somebody unseen, and is found.
void Carrier::drain(int count) {
  world_.log.announce_move(world_.pool);
  touched_ = true;
  const int there = world_.fifo.take(count);
  if (!world_.tracked) owed_ += count - there;
}

void Carrier::collect_owed() { owed_ -= world_.fifo.take(owed_); }

void Carrier::lend(int count) {
  world_.log.announce_move(world_.pool);
  touched_ = true;
  const int there = world_.fifo.take(count);
  world_.leases.supply(there, event_);
  if (there == count) return;
  world_.pool.lend_failed(count - there);
  world_.books.settle_at_once();
}

Delivery Carrier::deliver(const Notification& call) {
  Delivery written = world_.listener->write_token(call);
  if (written == Delivery::unwritable) {
    written = board::write_through_front(
        world_.write, call, [this] { return world_.front.say(board::kWrite); },
        [this] { return world_.front.is_open(); });
  }
  return written == Delivery::done ? world_.listener->answer_one(call) : written;
}

void Carrier::refuse(const Effect& effect) {
  const auto refused = world_.waiting.take(effect.request);
  if (!refused) return;
  // A reader that wants to wait and cannot (core::kMaxWaiting) asks again, as after a signal.
  (void)world_.listener->answer_error(refused->call, refused->request.blocking ? EINTR : EAGAIN);
}

}  // namespace tokenpool::arbiter
