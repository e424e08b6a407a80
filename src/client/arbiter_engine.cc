#include "client/arbiter_engine.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "wire/protocol.h"

namespace tokenpool::client {
namespace {

// How soon to knock again at an arbiter that is there but has no room in its queue.
constexpr Instant kKnock = std::chrono::milliseconds(10);
// ... or at one that said so.
constexpr Instant kKnockAgain = std::chrono::milliseconds(100);

}  // namespace

ArbiterEngine::ArbiterEngine(std::vector<Address> addresses, const wire::HelloCall& hello,
                             Instant patience)
    : Engine({.mode = Mode::protocol, .reason = Reason::ok, .jobserver = JobserverReason::ok}),
      link_(std::move(addresses)),
      session_(hello, patience),
      patience_(patience) {}

ArbiterEngine::~ArbiterEngine() {
  if (!foreign() && link_.state() == Link::State::open) link_.write(session_.output());
}

Reason ArbiterEngine::connect() {
  Reason told = Reason::unreachable;
  do {
    const Reason reason = connect_one(now() + patience_);
    switch (reason) {
      case Reason::ok:
      case Reason::refused:
      case Reason::incompatible:
        return reason;
      case Reason::no_answer:
        told = reason;
        break;
      case Reason::unreachable:
      case Reason::no_address:
      case Reason::bad_address:
      case Reason::no_cookie:
      case Reason::bad_cookie:
        break;
    }
    link_.close();
  } while (!link_.at_first());
  return told;
}

// Unlike process() it does not go on to the next address when hello is not answered in time.
Reason ArbiterEngine::connect_one(Instant until) {
  link_.connect_next();
  Reason reason = greet(until);
  while (session_.found_no_room() && now() + kKnockAgain < until) {
    sleep(-1, 0, now() + kKnockAgain);
    link_.connect_again();
    reason = greet(until);
  }
  return reason;
}

Reason ArbiterEngine::greet(Instant until) {
  while (link_.busy() && now() < until) {
    sleep(-1, 0, std::min(until, now() + kKnock));
    link_.connect_again();
  }
  while (link_.state() == Link::State::connecting && now() < until) {
    sleep(link_.fd(), link_.events(false), until);
    link_.check();
  }
  if (link_.state() != Link::State::open) return Reason::unreachable;
  session_.opened(now());
  while (carry(now()) && !session_.up() && now() < until) sleep(fd(), events(), until);
  if (session_.up()) return Reason::ok;
  session_.closed(now());
  const std::optional<Error>& refusal = session_.refusal();
  if (!refusal) return Reason::no_answer;
  const auto code = static_cast<wire::ErrorCode>(refusal->code);
  if (code == wire::ErrorCode::not_authorized) return Reason::refused;
  const bool other = code == wire::ErrorCode::unsupported_protocol;
  return other ? Reason::incompatible : Reason::no_answer;
}

std::string ArbiterEngine::reason_text() const {
  if (session_.refusal()) return session_.refusal()->message;
  return link_.error() == 0 ? std::string() : std::strerror(link_.error());
}

short ArbiterEngine::events() const { return link_.events(session_.has_output()); }

std::optional<Instant> ArbiterEngine::deadline() const {
  const bool connecting = link_.state() == Link::State::connecting;
  std::optional<Instant> first = session_.deadline(connecting);
  if (connecting) first = std::min(first.value_or(connect_until_), connect_until_);
  return first;
}

// Whichever answers first serves; when none did, the session's delay grows.
void ArbiterEngine::connect_next(Instant now) {
  do {
    link_.connect_next();
  } while (link_.state() == Link::State::closed && !link_.at_first());
  connect_until_ = now + patience_;
  if (link_.state() == Link::State::closed) session_.closed(now);
  if (link_.state() == Link::State::open) session_.opened(now);
}

void ArbiterEngine::go_on_connecting(Instant now) {
  link_.check();
  if (link_.state() == Link::State::open) {
    session_.opened(now);
  } else if (link_.state() == Link::State::closed || now >= connect_until_) {
    link_.close();
    if (link_.at_first()) {
      session_.closed(now);
    } else {
      connect_next(now);
    }
  }
}

// False: the connection is over. Reads first: an arbiter that is gone may have left its last words.
bool ArbiterEngine::carry(Instant now) {
  std::string bytes;
  const bool readable = link_.read(&bytes);
  session_.received(bytes, now);
  return link_.write(session_.output()) && readable && !session_.broken();
}

void ArbiterEngine::lose(Instant now) {
  if (session_.up()) link_.rewind();
  link_.close();
  session_.closed(now);
}

void ArbiterEngine::process(Instant now) {
  session_.advance(now);
  if (link_.state() == Link::State::connecting) go_on_connecting(now);
  if (link_.state() == Link::State::open && (session_.broken() || !carry(now))) lose(now);
  if (link_.state() == Link::State::closed && session_.wants_connection(now)) {
    connect_next(now);
    if (link_.state() == Link::State::open && !carry(now)) lose(now);
  }
}

// That the connection is over is found by the next process(), which reads first.
void ArbiterEngine::flush() {
  if (link_.state() == Link::State::open) link_.write(session_.output());
}

Ticket ArbiterEngine::begin(const Wanted& wanted, Instant now) {
  return session_.begin(wanted, now);
}
std::optional<Result<LeaseKey>> ArbiterEngine::take(Ticket ticket) { return session_.take(ticket); }
void ArbiterEngine::drop(Ticket ticket, Instant /*now*/) { session_.drop(ticket); }
Ticket ArbiterEngine::cancel(Ticket ticket, Instant /*now*/) { return session_.cancel(ticket); }
LeaseView ArbiterEngine::lease(LeaseKey key) const { return session_.lease(key); }
int ArbiterEngine::release(LeaseKey key, int count, Instant now) {
  return session_.release(key, count, now);
}
Ticket ArbiterEngine::resize(LeaseKey key, int min, int max, Instant /*now*/) {
  return session_.resize(key, min, max);
}
Ticket ArbiterEngine::report(LeaseKey key, const Report& report, Instant /*now*/) {
  return session_.report(key, report);
}
void ArbiterEngine::detach(LeaseKey key) { session_.detach(key); }
Ticket ArbiterEngine::call(const std::string& method, const std::string& params, Instant /*now*/) {
  return session_.call(method, params);
}
std::optional<Result<Outcome>> ArbiterEngine::take_answer(Ticket ticket) {
  return session_.take_answer(ticket);
}
std::optional<Notice> ArbiterEngine::take_notice() { return session_.take_notice(); }

}  // namespace tokenpool::client
