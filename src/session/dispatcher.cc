#include "session/dispatcher.h"

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "core/limits.h"
#include "session/limits.h"
#include "wire/limits.h"

namespace tokenpool::session {
namespace {

using core::Instant;
using core::SessionId;
using wire::ErrorCode;

constexpr std::size_t kKeptRecoveries = 16;

std::string_view cause_word(core::LeaseEnd cause) {
  switch (cause) {
    case core::LeaseEnd::session:
      return "session";
    case core::LeaseEnd::process:
      return "process";
    case core::LeaseEnd::operator_word:
      break;
  }
  return "operator";
}

}  // namespace

Dispatcher::Dispatcher(DispatcherConfig config, core::LeasePool* leases, DispatcherWorld* world,
                       Instant now)
    : config_(std::move(config)), leases_(*leases), world_(*world), start_(now) {
  leases_.set_implicit(config_.implicit);
  TOKENPOOL_CHECK(config_.cookie.size() == wire::kCookieDigits);
}

void Dispatcher::receive(SessionId id, std::string_view bytes, Instant now) {
  Session* session = find(id);
  while (session != nullptr && !bytes.empty() &&
         (session->state == State::stranger || session->state == State::member)) {
    const auto end = bytes.find('\n');
    const std::string_view part = bytes.substr(0, end);
    if (session->unfinished.size() + part.size() >= wire::kMaxLine) {
      complain(session, {}, ErrorCode::invalid_request, "a line of more than 65536 bytes");
      close(session);
      return;
    }
    if (end == std::string_view::npos) {
      session->unfinished += part;
      return;
    }
    bytes.remove_prefix(end + 1);
    if (session->unfinished.empty()) {
      on_line(session, part, now);
    } else {
      const std::string line = std::exchange(session->unfinished, {}) + std::string(part);
      on_line(session, line, now);
    }
  }
}

void Dispatcher::on_line(Session* session, std::string_view line, Instant now) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.empty()) return;
  const auto parsed = wire::parse_request(line);
  if (const auto* request = std::get_if<wire::CallRequest>(&parsed)) {
    on_call(session, *request, now);
  } else {
    on_refusal(session, std::get<wire::Refusal>(parsed));
  }
}

void Dispatcher::on_refusal(Session* session, const wire::Refusal& refusal) {
  ++refused_;
  const bool stranger = session->state == State::stranger;
  const bool calls_first = stranger && refusal.code == ErrorCode::method_not_found;
  if (!refusal.silent) {
    complain(session, refusal.id, calls_first ? ErrorCode::not_authorized : refusal.code,
             calls_first ? "say hello first" : refusal.message);
  }
  if (refusal.garbage) ++session->bad_lines;
  if (stranger || session->bad_lines >= kMaxBadLines) close(session);
}

void Dispatcher::closed(SessionId id, Instant now) {
  const auto entry = sessions_.find(id);
  if (entry == sessions_.end()) return;
  Session& session = entry->second;
  if (session.is_stranger()) --strangers_of(session).count;
  if (session.subscribed) --subscribers_;
  if (session.process) {
    auto [at, end] = by_process_.equal_range(*session.process);
    at = std::find_if(at, end, [id](const auto& one) { return one.second == id; });
    if (at != end) by_process_.erase(at);
  }
  session.state = State::closing;
  end(&session, now);
  sessions_.erase(id);
}

void Dispatcher::end(Session* session, Instant now) {
  for (const auto& [key, ticket] : session->asked) tickets_.erase(ticket);
  session->asked.clear();
  for (const auto& [id, end] : std::exchange(session->promised, {})) {
    const core::Lease* lease = leases_.find(id);
    const bool is_untold = end > session->sent && lease != nullptr && lease->session == session->id;
    // Nobody would ever release it.
    if (is_untold) leases_.hand_to(id, std::nullopt);
  }
  leases_.session_ended(session->id, now, &effects_);
  carry_out(&effects_, now);
}

void Dispatcher::process_ended(core::ProcessId who, Instant now) {
  std::vector<SessionId> ended;
  const auto [first, last] = by_process_.equal_range(who);
  for (auto at = first; at != last; ++at) ended.push_back(at->second);
  for (const SessionId id : ended) {
    // A child of it may keep the connection open.
    Session& session = sessions_.at(id);
    end(&session, now);
    close(&session);
  }
  leases_.owner_ended(who, now, &effects_);
  carry_out(&effects_, now);
}

void Dispatcher::advance(Instant now) {
  for (Strangers* strangers : {&local_, &remote_}) {
    while (!strangers->due.empty() && strangers->due.front().first <= now) {
      Session* session = find(strangers->due.front().second);
      strangers->due.pop_front();
      if (session == nullptr || session->state != State::stranger) continue;
      complain(session, {}, ErrorCode::not_authorized, "no hello within 5 s");
      close(session);
    }
  }
  for (const SessionId id : std::exchange(punished_, {})) {
    Session* session = find(id);
    if (session == nullptr || session->state != State::punished) continue;
    if (*session->deadline <= now) {
      close(session);
    } else {
      punished_.push_back(id);
    }
  }
  leases_.advance(now, &effects_);
  carry_out(&effects_, now);
}

std::optional<Instant> Dispatcher::next_deadline() const {
  std::optional<Instant> next = leases_.next_deadline();
  const auto consider = [&next](Instant instant) {
    if (!next || instant < *next) next = instant;
  };
  for (const Strangers* strangers : {&local_, &remote_}) {
    if (!strangers->due.empty()) consider(strangers->due.front().first);
  }
  for (const SessionId id : punished_) {
    const auto entry = sessions_.find(id);
    if (entry != sessions_.end() && entry->second.deadline) consider(*entry->second.deadline);
  }
  return next;
}

void Dispatcher::carry_out(core::LeaseEffects* effects, Instant now) {
  // Nothing that is done for an effect leads back to the pool of leases.
  for (const auto& effect : *effects) answer(effect, now);
  effects->clear();
}

void Dispatcher::answer(const core::LeaseEffect& effect, Instant now) {
  using Kind = core::LeaseEffect::Kind;
  if (effect.kind == Kind::finished) return note_finished(effect, now);
  if (effect.kind == Kind::recovered) return note_recovery(effect, now);
  const auto entry = tickets_.find(effect.ticket);
  TOKENPOOL_CHECK(entry != tickets_.end());
  const Asked asked = std::move(entry->second);
  tickets_.erase(entry);
  Session& session = sessions_.at(asked.session);
  std::erase_if(session.asked, [&](const auto& one) { return one.second == effect.ticket; });
  const bool silent = std::holds_alternative<std::monostate>(asked.id);
  switch (effect.kind) {
    case Kind::granted: {
      if (!silent) {
        // The owner may have ended while its lease was waited for.
        std::optional<bool> watched;
        if (asked.names_owner) watched = effect.lease.owner.has_value();
        wire::append_result(
            &session.outbox, asked.id,
            wire::AcquireResult{effect.lease.id, effect.lease.slots, effect.lease.paid, watched});
        session.promised.emplace_back(effect.lease.id, session.sent + session.outbox.size());
        list(&session);
      }
      if (subscribers_ > 0) {
        tell({"granted", effect.lease.id, session.id, session.name, effect.lease.job.target,
              effect.lease.job.type, effect.lease.slots, 0, 0});
      }
      break;
    }
    case Kind::unavailable:
      complain(&session, asked.id, ErrorCode::unavailable, "no slots within the time");
      if (subscribers_ > 0) tell({"timed_out", 0, session.id, session.name, "", "", 0, 0, 0});
      break;
    case Kind::impossible:
      refuse(&session, asked.id, ErrorCode::impossible, why_impossible(asked));
      break;
    case Kind::finished:
    case Kind::recovered:
      break;
  }
}

std::string Dispatcher::why_impossible(const Asked& asked) const {
  const auto limit = leases_.limits().find(asked.type);
  if (limit != leases_.limits().end() && limit->second == 0) {
    return "jobs of type " + asked.type + " are not allowed: their limit is 0";
  }
  std::string what = std::to_string(asked.min) + (asked.min == 1 ? " slot" : " slots") +
                     " asked for, the pool has " + std::to_string(leases_.ceiling()) + " at most";
  if (asked.min <= leases_.ceiling()) {
    what += ", one of them for processes of the run's own command only";
  }
  return what;
}

// Its client is about to hear of the end and to release it.
void Dispatcher::note_finished(const core::LeaseEffect& effect, Instant now) {
  const core::Lease& lease = effect.lease;
  Session& session = sessions_.at(effect.session);
  session.finished.insert(lease.id);
  if (session.finished.size() > kMaxLeasesOfSession) {
    session.finished.erase(session.finished.begin());
  }
  if (effect.cause == core::LeaseEnd::operator_word) return note_recovery(effect, now);
  if (subscribers_ > 0) {
    tell({"released", lease.id, session.id, session.name, lease.job.target, lease.job.type,
          lease.slots, 0, 0});
  }
}

void Dispatcher::note_recovery(const core::LeaseEffect& effect, Instant now) {
  const core::Lease& lease = effect.lease;
  Recovery recovery;
  recovery.row.lease = lease.id;
  recovery.row.slots = lease.slots;
  recovery.row.target = lease.job.target;
  recovery.row.cause = cause_word(effect.cause);
  recovery.when = now;
  if (const auto session = sessions_.find(effect.session); session != sessions_.end()) {
    recovery.row.name = session->second.name;
    recovery.row.pid = pid_of(session->second);
    if (effect.cause == core::LeaseEnd::session) {
      lost_.push_back({lease.id, lease.slots, session->second.process, session->second.shown_pid});
      if (lost_.size() > kMaxLeasesOfSession) lost_.pop_front();
    }
  }
  if (lease.owner) recovery.row.pid = lease.owner->pid;
  if (subscribers_ > 0) {
    tell({"recovered", lease.id, effect.session, recovery.row.name, lease.job.target,
          lease.job.type, lease.slots, 0, 0});
  }
  recoveries_.push_back(std::move(recovery));
  if (recoveries_.size() > kKeptRecoveries) recoveries_.pop_front();
}

void Dispatcher::tell(wire::Event event) {
  event.free = world_.free_slots();
  const std::int32_t pid = event.pid;
  for (auto& [id, session] : sessions_) {
    if (!session.subscribed || session.state != State::member) continue;
    if (session.outbox.size() > kMaxUnread / 2) {
      ++session.lost_events;
      continue;
    }
    event.lost = std::exchange(session.lost_events, 0);
    event.pid = pid == 0 ? 0 : session.pids(pid);
    wire::append_event(&session.outbox, event);
    list(&session);
  }
}

void Dispatcher::tell_of_tokens(const TokenEvent& tokens) {
  wire::Event event;
  event.kind = tokens.kind;
  event.tokens = tokens.tokens;
  event.pid = tokens.who.pid;
  event.command = tokens.command;
  tell(std::move(event));
}

void Dispatcher::drain(Instant now) {
  draining_ = true;
  leases_.set_paused(true, now, &effects_);
  const auto waiting = std::exchange(tickets_, {});
  for (const auto& [ticket, asked] : waiting) {
    leases_.cancel(ticket, now, &effects_);
    Session& session = sessions_.at(asked.session);
    session.asked.clear();
    refuse(&session, asked.id, ErrorCode::draining, "the arbiter is about to end");
  }
  carry_out(&effects_, now);
}

void Dispatcher::refuse(Session* session, const wire::CallId& id, ErrorCode code,
                        std::string_view message) {
  if (std::holds_alternative<std::monostate>(id)) return;
  ++refused_;
  complain(session, id, code, message);
}

void Dispatcher::complain(Session* session, const wire::CallId& id, ErrorCode code,
                          std::string_view message) {
  wire::append_error(&session->outbox, id, code, message);
  list(session);
}

void Dispatcher::close(Session* session) {
  if (session->is_stranger()) --strangers_of(*session).count;
  session->state = State::closing;
  list(session);
}

void Dispatcher::list(Session* session) {
  if (session->outbox.size() > kMaxUnread && session->state == State::member) {
    session->state = State::closing;
    session->outbox.clear();
  }
  if (session->listed || session->state == State::punished) return;
  session->listed = true;
  outputs_.push_back(session->id);
}

std::vector<SessionId> Dispatcher::outputs() {
  for (const SessionId id : outputs_) {
    if (Session* session = find(id)) session->listed = false;
  }
  return std::exchange(outputs_, {});
}

std::string_view Dispatcher::outbox(SessionId session) const {
  return sessions_.at(session).outbox;
}

void Dispatcher::sent(SessionId id, std::size_t bytes) {
  Session& session = sessions_.at(id);
  session.outbox.erase(0, bytes);
  session.sent += bytes;
  while (!session.promised.empty() && session.promised.front().second <= session.sent) {
    session.promised.pop_front();
  }
}

bool Dispatcher::is_closing(SessionId session) const {
  const auto entry = sessions_.find(session);
  return entry == sessions_.end() || entry->second.state == State::closing;
}

std::optional<core::ProcessId> Dispatcher::process_of(SessionId session) const {
  const auto entry = sessions_.find(session);
  return entry == sessions_.end() ? std::nullopt : entry->second.process;
}

SessionId Dispatcher::session_of(core::ProcessId who) const {
  const auto entry = by_process_.find(who);
  return entry == by_process_.end() ? 0 : entry->second;
}

Dispatcher::Session* Dispatcher::find(SessionId session) {
  const auto entry = sessions_.find(session);
  return entry == sessions_.end() ? nullptr : &entry->second;
}

}  // namespace tokenpool::session
