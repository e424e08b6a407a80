// What a session makes of the lines that it reads, and how it resumes.
#include <algorithm>
#include <string>
#include <utility>

#include "client/session.h"
#include "wire/limits.h"

namespace tokenpool::client {
namespace {

constexpr int kSpoken = wire::kProtocolVersion;

}  // namespace

// Declares what is held. The line has its limit: the targets, for people only, go first, then what
// does not fit is not declared, which ends it.
std::string Session::hello_line() {
  declared_.clear();
  std::vector<wire::ResumedLease> resumed;
  for (const auto& [key, held] : held_) {
    if (held.id == 0 || resumed.size() == wire::kMaxResumed) continue;
    resumed.push_back({.lease = held.id, .slots = held.slots, .job = held.job});
    declared_.push_back({.key = key, .slots = held.slots, .process = held.job.process});
  }
  std::string line;
  while (true) {
    wire::CallRequest request{.id = std::int64_t{0}, .call = hello_};
    if (!resumed.empty()) std::get<wire::HelloCall>(request.call).resume = resumed;
    line.clear();
    wire::append_request(&line, request);
    if (line.size() <= wire::kMaxLine || resumed.empty()) return line;
    const bool targets = std::ranges::any_of(
        resumed, [](const wire::ResumedLease& lease) { return !lease.job.target.empty(); });
    if (targets) {
      for (wire::ResumedLease& lease : resumed) lease.job.target.clear();
    } else {
      resumed.resize(resumed.size() - 1 - resumed.size() / 8);
      declared_.resize(resumed.size());
    }
  }
}

void Session::received(std::string_view bytes, Instant now) {
  while (!bytes.empty() && !broken_) {
    const std::size_t end = bytes.find('\n');
    const std::string_view part = bytes.substr(0, end);
    if (input_.size() + part.size() >= wire::kMaxLine) {
      broken_ = true;
      return;
    }
    input_ += part;
    if (end == std::string_view::npos) return;
    bytes.remove_prefix(end + 1);
    std::string line = std::exchange(input_, {});
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) take_line(line, now);
  }
}

void Session::take_line(std::string_view line, Instant now) {
  const std::optional<wire::Answer> answer = wire::parse_answer(line);
  if (!answer) {
    broken_ = true;
    return;
  }
  if (answer->kind == wire::Answer::Kind::notification) {
    if (up()) take_notification(*answer);
    return;
  }
  // Ours are numbers; whatever else it answers is for nobody here.
  const auto* id = std::get_if<std::int64_t>(&answer->id);
  if (state_ == State::greeting && (id == nullptr || *id == 0)) {
    take_hello(*answer, now);
  } else if (id != nullptr && *id > 0 && up()) {
    take_result(static_cast<Ticket>(*id), *answer);
  }
}

void Session::take_hello(const wire::Answer& answer, Instant now) {
  if (answer.kind == wire::Answer::Kind::error) {
    refusal_ = Error{.code = static_cast<int>(answer.code), .message = answer.message};
    broken_ = true;
    return;
  }
  if (!std::holds_alternative<std::int64_t>(answer.id)) return;
  if (answer.protocol != 0 && answer.protocol != kSpoken) {
    refusal_ = Error{.code = static_cast<int>(wire::ErrorCode::unsupported_protocol),
                     .message = "the arbiter speaks protocol " + std::to_string(answer.protocol)};
    broken_ = true;
    return;
  }
  refusal_.reset();
  greeted_ = {.session = answer.session,
              .server = answer.server,
              .slots = answer.slots.value_or(1),
              .epoch = answer.epoch,
              .resumed = std::nullopt};
  ever_up_ = true;
  state_ = State::up;
  resume(answer.resumed);
  for (auto at = requests_.begin(); at != requests_.end(); ++at) {
    send_request(at->first, at->second, now);
  }
}

void Session::resume(const std::vector<std::uint64_t>& ids) {
  const std::vector<Declared> declared = std::exchange(declared_, {});
  std::vector<LeaseKey> gone;
  for (const auto& [key, held] : held_) {
    const bool told =
        std::ranges::any_of(declared, [&key = key](const Declared& one) { return one.key == key; });
    if (held.id != 0 && !told) gone.push_back(key);
  }
  for (const LeaseKey key : gone) resume_one({.key = key, .slots = 0, .process = {}}, 0);
  for (std::size_t i = 0; i < declared.size(); ++i) {
    resume_one(declared[i], i < ids.size() ? ids[i] : 0);
  }
}

// The lease may have been released, in part too, or handed over since it was declared.
void Session::resume_one(const Declared& declared, std::uint64_t id) {
  const auto at = held_.find(declared.key);
  if (at == held_.end()) {
    if (id != 0) send(wire::ReleaseCall{.lease = id, .slots = 0}, 0);
    return;
  }
  Held& held = at->second;
  if (id == 0) {
    if (!held.detached) {
      Notice notice;
      notice.kind = Notice::Kind::lost;
      notice.lease = held.id;
      notice.params = "{\"lease\":" + std::to_string(held.id) + "}";
      add_notice(std::move(notice));
    }
    held_.erase(at);
    return;
  }
  held.id = id;
  const int less = declared.slots - held.slots;
  if (less > 0) send(wire::ReleaseCall{.lease = id, .slots = less}, 0);
  if (held.job.process && held.job.process != declared.process) {
    wire::ReportCall call;
    call.lease = id;
    call.process = held.job.process;
    send(call, 0);
  }
}

void Session::take_result(Ticket id, const wire::Answer& answer) {
  const auto request = requests_.find(id);
  if (request != requests_.end()) {
    if (answer.kind == wire::Answer::Kind::error) {
      if (request->second.dropped) {
        requests_.erase(request);
      } else {
        settle(id, Error{.code = static_cast<int>(answer.code), .message = answer.message});
      }
    } else {
      take_grant(id, answer);
    }
    return;
  }
  const auto asked = asked_.find(id);
  if (asked == asked_.end()) return;
  const Asked what = asked->second;
  asked_.erase(asked);
  if (answer.kind == wire::Answer::Kind::error) {
    outcomes_.insert_or_assign(
        id, Error{.code = static_cast<int>(answer.code), .message = answer.message});
  } else {
    take_outcome(what, id, answer);
  }
}

void Session::take_grant(Ticket ticket, const wire::Answer& answer) {
  const Request request = requests_.at(ticket);
  if (answer.lease == 0 || answer.slots.value_or(0) < 1) {
    broken_ = true;
    return;
  }
  const LeaseKey key = ++last_;
  held_[key] = {.id = answer.lease,
                .slots = *answer.slots,
                .watched = answer.watched.value_or(false),
                .detached = false,
                .job = request.call.job};
  if (request.dropped) {
    requests_.erase(ticket);
    release(key, 0, Instant(0));
  } else {
    settle(ticket, key);
  }
}

void Session::take_outcome(const Asked& asked, Ticket id, const wire::Answer& answer) {
  const auto held = held_.find(asked.lease);
  Outcome outcome;
  switch (asked.kind) {
    case Asked::Kind::resize:
      outcome.number = answer.slots.value_or(0);
      if (outcome.number < 1) {
        broken_ = true;
        outcomes_.insert_or_assign(
            id, Error{.code = 0, .message = "resize: the arbiter's answer has no slots"});
        return;
      }
      if (held != held_.end()) {
        held->second.slots = outcome.number;
      }
      break;
    case Asked::Kind::report:
      outcome.number = answer.watched.value_or(false) ? 1 : 0;
      if (held != held_.end()) held->second.watched = outcome.number == 1;
      break;
    case Asked::Kind::cancel:
      outcome.number = answer.cancelled.value_or(false) ? 1 : 0;
      if (const auto request = requests_.find(asked.request);
          request != requests_.end() && outcome.number == 0) {
        request->second.cancelled = false;
      }
      break;
    case Asked::Kind::call:
      outcome.body = answer.body;
      break;
  }
  outcomes_.insert_or_assign(id, std::move(outcome));
}

void Session::take_notification(const wire::Answer& answer) {
  Notice notice;
  if (answer.method == "event") {
    notice.kind = Notice::Kind::event;
  } else if (answer.method == "recall") {
    notice.kind = Notice::Kind::recall;
  } else if (answer.method == "revoke") {
    notice.kind = Notice::Kind::revoke;
  } else {
    return;
  }
  if (notice.kind != Notice::Kind::event && std::ranges::none_of(held_, [&](const auto& entry) {
        return entry.second.id != 0 && entry.second.id == answer.lease;
      })) {
    return;
  }
  notice.lease = answer.lease;
  notice.slots = answer.slots.value_or(0);
  notice.reason = answer.reason;
  notice.deadline = Milliseconds(answer.deadline_ms);
  notice.params = answer.body;
  add_notice(std::move(notice));
}

void Session::add_notice(Notice notice) {
  if (notices_.size() == kMaxNotices) notices_.pop_front();
  notices_.push_back(std::move(notice));
}

}  // namespace tokenpool::client
