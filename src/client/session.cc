#include "client/session.h"

#include <algorithm>
#include <utility>

#include "client/text.h"
#include "wire/limits.h"

namespace tokenpool::client {
namespace {

constexpr int code_of(wire::ErrorCode code) { return static_cast<int>(code); }

std::optional<wire::NamedProcess> named(std::int32_t pid, std::uint64_t start) {
  if (pid == 0) return std::nullopt;
  return wire::NamedProcess{.pid = pid, .start = start};
}

wire::AcquireCall call_of(const Wanted& wanted) {
  wire::AcquireCall call;
  call.min = wanted.min;
  call.max = wanted.max == 0 ? wanted.min : wanted.max;
  call.job.type = clean_text(wanted.type, wanted.type.size());
  call.job.target = clean_text(wanted.target, wire::kMaxTargetBytes);
  call.job.memory = wanted.memory;
  call.job.priority = wanted.priority;
  call.job.process = named(wanted.pid, wanted.start);
  return call;
}

// The name of a method goes into the line as it is.
bool is_method(std::string_view text) {
  return !text.empty() && text.size() <= wire::kMaxNameBytes &&
         std::ranges::all_of(text, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '.' || c == '-' || c == '/';
         });
}

Error no_connection(const std::string& what) {
  return {.code = 0,
          .message = what + ": the connection to the arbiter is lost; it is being made anew"};
}

}  // namespace

Session::Session(wire::HelloCall hello, Instant patience)
    : hello_(std::move(hello)), patience_(patience) {}

bool Session::wants_connection(Instant now) const {
  return state_ == State::lost && now >= retry_at_;
}

bool Session::found_no_room() const {
  return refusal_ && refusal_->code == code_of(wire::ErrorCode::too_many);
}

void Session::opened(Instant now) {
  state_ = State::greeting;
  refusal_.reset();
  greeting_until_ = now + patience_;
  output_ = hello_line();
}

void Session::closed(Instant now) {
  if (state_ == State::up) {
    lost_since_ = now;
    delay_ = kFirstDelay;
    // Their answers are lost. A request that was to be cancelled is simply not asked again.
    for (const auto& [ticket, asked] : std::exchange(asked_, {})) {
      if (asked.kind != Asked::Kind::cancel) {
        outcomes_.insert_or_assign(ticket, no_connection("the answer did not come"));
      } else {
        outcomes_.insert_or_assign(ticket, Outcome{.number = 1, .body = {}});
      }
    }
    for (auto at = requests_.begin(); at != requests_.end();) {
      const auto [ticket, request] = *at++;
      if (request.dropped) {
        requests_.erase(ticket);
      } else if (request.cancelled) {
        settle(ticket, Error{.code = code_of(wire::ErrorCode::cancelled), .message = "cancelled"});
      }
    }
  } else if (ever_up_) {
    // One that is stopped, or has no room: it lives, so nothing runs outside of its pool.
    const bool silent = state_ == State::greeting && now >= greeting_until_;
    if (silent || found_no_room()) lost_since_ = now;
    delay_ = std::min(2 * delay_, held_.empty() ? kMaxDelay : kMaxHolderDelay);
  }
  state_ = State::lost;
  broken_ = false;
  input_.clear();
  output_.clear();
  retry_at_ = now + delay_;
  expire(now);
}

void Session::send(const wire::Call& call, Ticket id) {
  wire::CallId name;
  if (id != 0) name = static_cast<std::int64_t>(id);
  wire::append_request(&output_, {.id = name, .call = call});
}

void Session::send_request(Ticket ticket, const Request& request, Instant now) {
  wire::AcquireCall call = request.call;
  if (request.deadline) {
    const auto left = std::max(*request.deadline - now, Instant(0));
    call.timeout_ms = std::chrono::ceil<Milliseconds>(left).count();
  }
  send(call, ticket);
}

void Session::settle(Ticket ticket, Result<LeaseKey> answer) {
  requests_.erase(ticket);
  settled_.insert_or_assign(ticket, std::move(answer));
}

Ticket Session::begin(const Wanted& wanted, Instant now) {
  const Ticket ticket = ++last_;
  Request request{.call = call_of(wanted), .deadline = {}, .dropped = false, .cancelled = false};
  if (wanted.timeout) request.deadline = now + std::max(*wanted.timeout, Milliseconds(0));
  const auto at = requests_.emplace(ticket, std::move(request)).first;
  if (up()) {
    send_request(ticket, at->second, now);
  } else {
    expire(now);
  }
  return ticket;
}

std::optional<Result<LeaseKey>> Session::take(Ticket ticket) {
  if (auto found = settled_.extract(ticket)) return std::move(found.mapped());
  if (requests_.contains(ticket)) return std::nullopt;
  return Error{.code = 0, .message = "there is no such request under way"};
}

void Session::drop(Ticket ticket) {
  if (auto found = settled_.extract(ticket)) {
    if (found.mapped()) release(*found.mapped(), 0, Instant(0));
    return;
  }
  const auto at = requests_.find(ticket);
  if (at == requests_.end()) return;
  if (!up()) {
    requests_.erase(at);
    return;
  }
  at->second.dropped = true;
  send(wire::CancelCall{.id = static_cast<std::int64_t>(ticket)}, 0);
}

Ticket Session::cancel(Ticket ticket) {
  const auto at = requests_.find(ticket);
  if (at == requests_.end()) return answered(Outcome{.number = 0, .body = {}});
  if (!up()) {
    settle(ticket, Error{.code = code_of(wire::ErrorCode::cancelled), .message = "cancelled"});
    return answered(Outcome{.number = 1, .body = {}});
  }
  at->second.cancelled = true;
  const Ticket id = ++last_;
  send(wire::CancelCall{.id = static_cast<std::int64_t>(ticket)}, id);
  asked_[id] = {.kind = Asked::Kind::cancel, .lease = 0, .request = ticket};
  return id;
}

Ticket Session::answered(Result<Outcome> outcome) {
  outcomes_.insert_or_assign(++last_, std::move(outcome));
  return last_;
}

LeaseView Session::lease(LeaseKey key) const {
  const auto at = held_.find(key);
  if (at == held_.end()) return {};
  return {.id = at->second.id, .slots = at->second.slots, .watched = at->second.watched};
}

int Session::release(LeaseKey key, int count, Instant now) {
  const auto at = held_.find(key);
  if (at == held_.end() || count < 0) return at == held_.end() ? 0 : at->second.slots;
  Held& held = at->second;
  const bool all = count == 0 || count >= held.slots;
  // What was declared in a hello that is not answered yet is set right by resume_one().
  if (up() && held.id != 0) send(wire::ReleaseCall{.lease = held.id, .slots = all ? 0 : count}, 0);
  if (!all) return held.slots -= count;
  held_.erase(at);
  if (!up()) grant_alone(now);
  return 0;
}

Ticket Session::resize(LeaseKey key, int min, int max) {
  const auto at = held_.find(key);
  if (max == 0) max = min;
  if (at == held_.end()) {
    return answered(Error{.code = code_of(wire::ErrorCode::no_such_lease),
                          .message = "resize: the lease has ended, or there never was one"});
  }
  if (at->second.id == 0) {
    if (min <= 1 && max >= 1) return answered(Outcome{.number = 1, .body = {}});
    return answered(Error{.code = code_of(wire::ErrorCode::unavailable),
                          .message = "resize: the lease was granted without an arbiter: one slot"});
  }
  if (!up()) return answered(no_connection("resize"));
  const Ticket id = ++last_;
  send(wire::ResizeCall{.lease = at->second.id, .min = min, .max = max}, id);
  asked_[id] = {.kind = Asked::Kind::resize, .lease = key, .request = 0};
  return id;
}

Ticket Session::report(LeaseKey key, const Report& report) {
  const auto at = held_.find(key);
  if (at == held_.end()) {
    return answered(Error{.code = code_of(wire::ErrorCode::no_such_lease),
                          .message = "report: the lease has ended, or there never was one"});
  }
  Held& held = at->second;
  const auto process = named(report.pid, report.start);
  if (process) held.job.process = process;
  if (process && !up()) held.watched = false;
  if (!up() || held.id == 0) return answered(Outcome{.number = held.watched ? 1 : 0, .body = {}});
  const wire::ReportCall call{.lease = held.id,
                              .process = process,
                              .peak_memory = report.peak_memory,
                              .cpu_seconds = report.cpu_seconds,
                              .exit = report.exit};
  if (!process) {
    send(call, 0);
    return answered(Outcome{.number = held.watched ? 1 : 0, .body = {}});
  }
  const Ticket id = ++last_;
  send(call, id);
  asked_[id] = {.kind = Asked::Kind::report, .lease = key, .request = 0};
  return id;
}

void Session::detach(LeaseKey key) {
  const auto at = held_.find(key);
  if (at == held_.end()) return;
  if (at->second.id == 0) {
    held_.erase(at);
  } else {
    at->second.detached = true;
  }
}

Ticket Session::call(const std::string& method, const std::string& params) {
  if (!up()) return answered(no_connection(is_method(method) ? method : "call"));
  if (!is_method(method)) {
    return answered(Error{.code = code_of(wire::ErrorCode::method_not_found),
                          .message = "call: a method is 1 to 64 of A-Z a-z 0-9 _ . - /"});
  }
  const Ticket id = ++last_;
  std::string line = "{\"jsonrpc\":\"2.0\",\"id\":" + std::to_string(id) + ",\"method\":\"" +
                     method + "\",\"params\":" + params + "}";
  // A line break between two members is JSON, but it would end the message.
  std::ranges::replace(line, '\n', ' ');
  if (line.size() + 1 > wire::kMaxLine) {
    return answered(Error{.code = code_of(wire::ErrorCode::invalid_request),
                          .message = method + ": longer than a line of the protocol may be"});
  }
  // The answer to a line that cannot be read has no id, so nobody could be told.
  const auto parsed = wire::parse_request(line);
  const auto* refusal = std::get_if<wire::Refusal>(&parsed);
  if (refusal != nullptr && refusal->id != wire::CallId(static_cast<std::int64_t>(id))) {
    return answered(
        Error{.code = code_of(refusal->code), .message = method + ": " + refusal->message});
  }
  output_ += line + "\n";
  asked_[id] = {.kind = Asked::Kind::call, .lease = 0, .request = 0};
  return id;
}

std::optional<Result<Outcome>> Session::take_answer(Ticket ticket) {
  if (auto found = outcomes_.extract(ticket)) return std::move(found.mapped());
  if (asked_.contains(ticket)) return std::nullopt;
  return Error{.code = 0, .message = "there is no such call under way"};
}

std::optional<Notice> Session::take_notice() {
  if (notices_.empty()) return std::nullopt;
  Notice notice = std::move(notices_.front());
  notices_.pop_front();
  return notice;
}

// Nothing is held: what was handed to another process and let go of is that process's.
bool Session::alone() const {
  return ever_up_ && !up() &&
         std::ranges::all_of(held_, [](const auto& entry) { return entry.second.detached; });
}

void Session::grant_alone(Instant now) {
  if (!alone() || now < lost_since_ + kLonely) return;
  for (const auto& [ticket, request] : requests_) {
    if (request.call.min != 1) continue;
    const LeaseKey key = ++last_;
    held_[key] = {
        .id = 0, .slots = 1, .watched = false, .detached = false, .job = request.call.job};
    settle(ticket, key);
    return;
  }
}

// Without a connection nobody else looks at the deadlines.
void Session::expire(Instant now) {
  if (up()) return;
  grant_alone(now);
  for (auto at = requests_.begin(); at != requests_.end();) {
    const auto& [ticket, request] = *at++;
    if (request.deadline && *request.deadline <= now) {
      settle(ticket, Error{.code = code_of(wire::ErrorCode::unavailable),
                           .message = "acquire: the time is over, and there is no connection"});
    }
  }
}

std::optional<Instant> Session::deadline(bool connecting) const {
  if (up()) return std::nullopt;
  std::optional<Instant> first;
  const auto consider = [&](Instant when) { first = std::min(first.value_or(when), when); };
  if (state_ == State::greeting) consider(greeting_until_);
  if (state_ == State::lost && !connecting) consider(retry_at_);
  const bool lonely = alone();
  for (const auto& [ticket, request] : requests_) {
    if (request.deadline) consider(*request.deadline);
    if (lonely && request.call.min == 1) consider(lost_since_ + kLonely);
  }
  return first;
}

void Session::advance(Instant now) {
  if (state_ == State::greeting && now >= greeting_until_) broken_ = true;
  expire(now);
}

}  // namespace tokenpool::client
