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
constexpr std::string_view kTooMany = "too many connections; try again later";

// Takes as long for a cookie that is wrong in its first digit as in its last.
bool is_same_secret(std::string_view a, std::string_view b) {
  unsigned difference = a.size() == b.size() ? 0U : 1U;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const char other = b.empty() ? '\0' : b[i % b.size()];
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(other);
  }
  return difference == 0;
}

// Sessions, or what one has lost: by their processes, else by the numbers that they gave.
template <typename A, typename B>
bool is_same_client(const A& a, const B& b) {
  if (a.process.has_value() != b.process.has_value()) return false;
  return a.process ? *a.process == *b.process : a.shown_pid == b.shown_pid;
}

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

SessionId Dispatcher::open(const Peer& peer, Instant now, std::string* refusal) {
  Strangers& strangers = peer.local ? local_ : remote_;
  const bool full = sessions_.size() >= kMaxSessions;
  if (strangers.count >= kMaxStrangers) drop_oldest(&strangers);
  if (full && !drop_stranger()) {
    wire::append_error(refusal, {}, ErrorCode::too_many, kTooMany);
    return 0;
  }
  const SessionId id = next_session_++;
  Session& session = sessions_[id];
  session.id = id;
  session.peer = peer;
  session.deadline = now + kHelloPatience;
  strangers.due.emplace_back(*session.deadline, id);
  ++strangers.count;
  return id;
}

Dispatcher::Strangers& Dispatcher::strangers_of(const Session& session) {
  return session.peer.local ? local_ : remote_;
}

bool Dispatcher::drop_stranger() { return drop_oldest(&remote_) || drop_oldest(&local_); }

bool Dispatcher::drop_oldest(Strangers* strangers) {
  while (!strangers->due.empty()) {
    Session* session = find(strangers->due.front().second);
    strangers->due.pop_front();
    if (session == nullptr) continue;
    if (!session->is_stranger()) continue;
    if (session->state == State::stranger) complain(session, {}, ErrorCode::too_many, kTooMany);
    close(session);
    return true;
  }
  return false;
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

void Dispatcher::on_hello(Session* session, const wire::CallId& id, const wire::HelloCall& call,
                          Instant now) {
  if (session->state != State::stranger) {
    return refuse(session, id, ErrorCode::invalid_request, "hello was said already");
  }
  if (call.protocol != wire::kProtocolVersion) {
    refuse(session, id, ErrorCode::unsupported_protocol,
           "protocol " + std::to_string(call.protocol) + " is not spoken here, 1 is");
    return close(session);
  }
  if (!is_same_secret(config_.cookie, call.cookie)) {
    punish(session, now);
    return refuse(session, id, ErrorCode::not_authorized, "the cookie is wrong");
  }
  penalty_ = Instant::zero();
  --strangers_of(*session).count;
  session->state = State::member;
  session->deadline.reset();
  session->name = call.name;
  session->shown_pid = call.process.pid;
  session->named_start = call.process.start;
  session->process =
      session->peer.process ? session->peer.process : world_.find(session->peer, call.process);
  if (session->process && world_.watch(*session->process)) {
    by_process_.emplace(*session->process, session->id);
  } else {
    session->process.reset();
  }
  const core::LeaseId under = runs_under(*session, call.lease) ? call.lease : 0;
  session->standing = world_.standing(session->process, under, call.launcher);
  wire::HelloResult result;
  result.session = session->id;
  result.server = config_.server;
  result.slots = leases_.ceiling();
  result.epoch = config_.epoch;
  if (call.resume) result.resumed = resume(session, *call.resume, now);
  if (std::holds_alternative<std::monostate>(id)) return;
  wire::append_result(&session->outbox, id, result);
  list(session);
}

// The answer is held back: a guess costs its author time and the arbiter none.
void Dispatcher::punish(Session* session, Instant now) {
  ++unauthorized_;
  penalty_ =
      penalty_ == Instant::zero() ? kCookiePenalty : std::min(2 * penalty_, kMaxCookiePenalty);
  session->state = State::punished;
  session->deadline = now + penalty_;
  punished_.push_back(session->id);
}

std::vector<std::uint64_t> Dispatcher::resume(Session* session,
                                              const std::vector<wire::ResumedLease>& leases,
                                              Instant now) {
  std::vector<std::uint64_t> answer;
  for (const auto& declared : leases) {
    if (const auto* known = leases_.find(declared.lease);
        known != nullptr && is_held_by_another(*known, *session)) {
      answer.push_back(0);
      continue;
    }
    core::Lease lease;
    lease.id = declared.lease;
    lease.session = session->id;
    lease.client = session->standing.client;
    lease.payer = session->standing.payer;
    lease.slots = std::min(declared.slots, core::kMaxSlots);
    lease.job = {declared.job.type, declared.job.target, declared.job.memory,
                 declared.job.priority};
    if (declared.job.process) {
      lease.owner = watched_owner(session, declared.job.process);
      // Its job has ended while nobody could be told.
      if (!lease.owner && world_.find(session->peer, *declared.job.process)) {
        answer.push_back(0);
        continue;
      }
    }
    world_.asks(session->standing);
    const bool is_known = leases_.find(lease.id) != nullptr;
    if (!is_known) lease.slots = std::min(lease.slots, declarable(*session, lease.id));
    if (lease.slots == 0) {
      answer.push_back(0);
      continue;
    }
    const bool full = leases_.leases().size() >= kMaxLeases;
    answer.push_back(full && !is_known ? 0 : leases_.resume(std::move(lease), now, &effects_));
  }
  carry_out(&effects_, now);
  return answer;
}

bool Dispatcher::runs_under(const Session& session, core::LeaseId lease) const {
  const core::Lease* found = leases_.find(lease);
  if (!session.process || found == nullptr) return true;
  const auto is_below = [&](const std::optional<core::ProcessId>& holder) {
    return holder && world_.is_below(*session.process, *holder);
  };
  return is_below(found->owner) || is_below(process_of(found->session)) ||
         world_.was_started_under(*session.process, lease);
}

int Dispatcher::declarable(const Session& session, core::LeaseId lease) const {
  if (leases_.had_grace()) return core::kMaxSlots;
  const auto lost = std::ranges::find_if(lost_, [&](const LostLease& one) {
    return one.lease == lease && is_same_client(one, session);
  });
  return lost == lost_.end() ? 0 : lost->slots;
}

// A session that lives; the same client may have lost a connection that looks alive from here.
bool Dispatcher::is_held_by_another(const core::Lease& lease, const Session& session) const {
  const auto holder = sessions_.find(lease.session);
  if (holder == sessions_.end() || holder->second.state != State::member) return false;
  return !is_same_client(holder->second, session);
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
