// The way in: connections that have not said hello yet, hello itself and what a wrong one costs,
// and what a client that comes back says it still has.
#include <algorithm>
#include <utility>

#include "core/limits.h"
#include "session/dispatcher.h"
#include "session/limits.h"

namespace tokenpool::session {
namespace {

using core::Instant;
using core::SessionId;
using wire::ErrorCode;

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

}  // namespace

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

}  // namespace tokenpool::session
