#include "client/local_engine.h"

#include <algorithm>
#include <utility>

#include "core/limits.h"
#include "wire/protocol.h"

namespace tokenpool::client {
namespace {

Error error(wire::ErrorCode code, std::string message) {
  return {.code = static_cast<int>(code), .message = std::move(message)};
}

}  // namespace

LocalEngine::LocalEngine(Why why, std::unique_ptr<TokenSource> source, int slots,
                         std::string barred)
    : Engine(std::move(why)),
      source_(std::move(source)),
      slots_(slots),
      barred_(std::move(barred)) {}

LocalEngine::~LocalEngine() {
  if (foreign()) return;
  for (auto& [key, held] : held_) shrink(&held, 0);
}

std::optional<Error> LocalEngine::refusal(const Request& request) const {
  if (!barred_.empty()) return Error{.code = 0, .message = barred_};
  if (request.min < 1 || request.max < request.min || request.max > core::kMaxSlots) {
    return error(
        wire::ErrorCode::invalid_params,
        "acquire: min is 1 to " + std::to_string(core::kMaxSlots) + ", max is not less than min");
  }
  // Where -j tells no number there may be any number of tokens.
  const bool known = source_ == nullptr || slots_ > 1;
  if (known && request.min > slots_) {
    return error(wire::ErrorCode::impossible,
                 "acquire: min is more than the " + std::to_string(slots_) + " that there are");
  }
  return std::nullopt;
}

// To between `min` and `max` slots, or not at all.
bool LocalEngine::grow(Held* held, int min, int max) {
  const int before = held->slots();
  if (!held->implicit && implicit_free_ && before < max) {
    held->implicit = true;
    implicit_free_ = false;
  }
  while (source_ != nullptr && held->slots() < max) {
    const std::optional<char> token = source_->take();
    if (!token) break;
    held->tokens.push_back(*token);
  }
  if (held->slots() >= min) return true;
  shrink(held, before);
  return false;
}

// The implicit slot goes last: it alone is nobody else's.
void LocalEngine::shrink(Held* held, int to) {
  while (held->slots() > to && !held->tokens.empty()) {
    source_->give(held->tokens.back());
    held->tokens.pop_back();
  }
  if (held->slots() > to) {
    held->implicit = false;
    implicit_free_ = true;
  }
}

Ticket LocalEngine::begin(const Wanted& wanted, Instant now) {
  Request request{.ticket = ++last_,
                  .min = wanted.min,
                  .max = wanted.max == 0 ? wanted.min : wanted.max,
                  .deadline = {}};
  const Ticket ticket = request.ticket;
  if (wanted.timeout) request.deadline = now + std::max(*wanted.timeout, Milliseconds(0));
  if (const auto error = refusal(request)) {
    settled_.insert_or_assign(ticket, *error);
  } else {
    requests_.push_back(request);
    serve(now);
  }
  return ticket;
}

void LocalEngine::serve(Instant now) {
  while (!requests_.empty()) {
    const Request request = requests_.front();
    Held held;
    if (!grow(&held, request.min, request.max)) break;
    requests_.pop_front();
    const LeaseKey key = ++last_;
    held_[key] = std::move(held);
    settled_.insert_or_assign(request.ticket, key);
    pause_ = kFirstPause;
    pause_until_.reset();
  }
  for (auto at = requests_.begin(); at != requests_.end();) {
    if (at->deadline && *at->deadline <= now) {
      settled_.insert_or_assign(at->ticket,
                                error(wire::ErrorCode::unavailable, "acquire: the time is over"));
      at = requests_.erase(at);
    } else {
      ++at;
    }
  }
}

void LocalEngine::process(Instant now) {
  const bool late = std::ranges::any_of(requests_, [now](const Request& request) {
    return request.deadline && *request.deadline <= now;
  });
  if (pause_until_ && !late) {
    // Its end only has fd() polled again: without a token in sight there is nothing to look for.
    if (now >= *pause_until_) pause_until_.reset();
    return;
  }
  serve(now);
  // A poll would return at once for tokens that are too few.
  if (!requests_.empty() && requests_.front().min > 1 && source_ != nullptr) {
    pause_until_ = now + pause_;
    pause_ = std::min(2 * pause_, kMaxPause);
  }
}

std::optional<Result<LeaseKey>> LocalEngine::take(Ticket ticket) {
  if (auto found = settled_.extract(ticket)) return std::move(found.mapped());
  const auto is = [ticket](const Request& request) { return request.ticket == ticket; };
  if (std::ranges::any_of(requests_, is)) return std::nullopt;
  return Error{.code = 0, .message = "there is no such request under way"};
}

void LocalEngine::drop(Ticket ticket, Instant now) {
  if (auto found = settled_.extract(ticket)) {
    if (found.mapped()) release(*found.mapped(), 0, now);
    return;
  }
  std::erase_if(requests_, [ticket](const Request& request) { return request.ticket == ticket; });
}

Ticket LocalEngine::cancel(Ticket ticket, Instant /*now*/) {
  const auto is = [ticket](const Request& request) { return request.ticket == ticket; };
  if (std::erase_if(requests_, is) == 0) return answered(Outcome{.number = 0, .body = {}});
  settled_.insert_or_assign(ticket, error(wire::ErrorCode::cancelled, "cancelled"));
  return answered(Outcome{.number = 1, .body = {}});
}

LeaseView LocalEngine::lease(LeaseKey key) const {
  const auto at = held_.find(key);
  return {.id = 0, .slots = at == held_.end() ? 0 : at->second.slots(), .watched = false};
}

int LocalEngine::release(LeaseKey key, int count, Instant now) {
  const auto at = held_.find(key);
  if (at == held_.end()) return 0;
  const int had = at->second.slots();
  if (count < 0) return had;
  shrink(&at->second, count == 0 ? 0 : std::max(0, had - count));
  const int left = at->second.slots();
  if (left == 0) held_.erase(at);
  if (implicit_free_) serve(now);
  return left;
}

Ticket LocalEngine::resize(LeaseKey key, int min, int max, Instant /*now*/) {
  if (max == 0) max = min;
  const auto at = held_.find(key);
  if (at == held_.end()) {
    return answered(error(wire::ErrorCode::no_such_lease,
                          "resize: the lease has ended, or there never was one"));
  }
  if (min < 1 || max < min || max > core::kMaxSlots) {
    return answered(error(
        wire::ErrorCode::invalid_params,
        "resize: min is 1 to " + std::to_string(core::kMaxSlots) + ", max is not less than min"));
  }
  shrink(&at->second, max);
  // More only if nobody who waits could use them.
  const bool others = !requests_.empty() && at->second.slots() >= min;
  if (!others && !grow(&at->second, min, max)) {
    return answered(error(wire::ErrorCode::unavailable, "resize: not even min can be had now"));
  }
  return answered(Outcome{.number = at->second.slots(), .body = {}});
}

Ticket LocalEngine::report(LeaseKey key, const Report& /*report*/, Instant /*now*/) {
  if (held_.contains(key)) return answered(Outcome{.number = 0, .body = {}});
  return answered(
      error(wire::ErrorCode::no_such_lease, "report: the lease has ended, or there never was one"));
}

// Its tokens are returned when the engine ends.
void LocalEngine::detach(LeaseKey /*key*/) {}

Ticket LocalEngine::call(const std::string& method, const std::string& /*params*/,
                         Instant /*now*/) {
  return answered(Error{.code = 0, .message = method + ": there is no arbiter to ask"});
}

Ticket LocalEngine::answered(Result<Outcome> outcome) {
  outcomes_.insert_or_assign(++last_, std::move(outcome));
  return last_;
}

std::optional<Result<Outcome>> LocalEngine::take_answer(Ticket ticket) {
  if (auto found = outcomes_.extract(ticket)) return std::move(found.mapped());
  return Error{.code = 0, .message = "there is no such call under way"};
}

int LocalEngine::fd() const {
  if (requests_.empty() || source_ == nullptr || pause_until_) return -1;
  return source_->fd();
}

short LocalEngine::events() const { return fd() < 0 ? short{0} : source_->events(); }

std::optional<Instant> LocalEngine::deadline() const {
  std::optional<Instant> first = pause_until_;
  for (const Request& request : requests_) {
    if (request.deadline) first = std::min(first.value_or(*request.deadline), *request.deadline);
  }
  return first;
}

}  // namespace tokenpool::client
