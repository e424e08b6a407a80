// The calls of clients that have said hello.
#include <algorithm>
#include <utility>

#include "core/check.h"
#include "core/limits.h"
#include "session/dispatcher.h"
#include "session/limits.h"

namespace tokenpool::session {
namespace {

using core::Instant;
using core::SessionId;
using wire::CallId;
using wire::ErrorCode;

bool is_notification(const CallId& id) { return std::holds_alternative<std::monostate>(id); }

// 1 and "1" are two ids.
std::string key_of(const CallId& id) {
  if (const auto* number = std::get_if<std::int64_t>(&id)) return std::to_string(*number);
  if (const auto* text = std::get_if<std::string>(&id)) return '"' + *text;
  return {};
}

template <typename... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};
template <typename... Visitors>
Overloaded(Visitors...) -> Overloaded<Visitors...>;

}  // namespace

void Dispatcher::on_call(Session* session, const wire::CallRequest& request, Instant now) {
  const CallId& id = request.id;
  const bool says_hello = std::holds_alternative<wire::HelloCall>(request.call);
  if (session->state == State::stranger && !says_hello) {
    refuse(session, id, ErrorCode::not_authorized, "say hello first");
    return close(session);
  }
  if (!is_notification(id) && session->asked.contains(key_of(id))) {
    return refuse(session, id, ErrorCode::invalid_request, "this id is in use");
  }
  std::visit(Overloaded{
                 [&](const wire::HelloCall& call) { on_hello(session, id, call, now); },
                 [&](const wire::AcquireCall& call) { on_acquire(session, id, call, now); },
                 [&](const wire::ReleaseCall& call) { on_release(session, id, call, now); },
                 [&](const wire::ResizeCall& call) { on_resize(session, id, call, now); },
                 [&](const wire::ReportCall& call) { on_report(session, id, call); },
                 [&](const wire::CancelCall& call) { on_cancel(session, id, call, now); },
                 [&](const wire::StatusCall&) { on_status(session, id, now); },
                 [&](const wire::SubscribeCall&) { on_subscribe(session, id); },
                 [&](const wire::SetCall& call) { on_set(session, id, call, now); },
             },
             request.call);
}

void Dispatcher::on_acquire(Session* session, const CallId& id, const wire::AcquireCall& call,
                            Instant now) {
  if (draining_) return refuse(session, id, ErrorCode::draining, "the arbiter is about to end");
  if (session->asked.size() >= kMaxRequestsOfSession ||
      leases_.count_of(session->id) >= kMaxLeasesOfSession ||
      leases_.leases().size() + leases_.waiting_count() >= kMaxLeases) {
    return refuse(session, id, ErrorCode::too_many, "too many leases or requests");
  }
  // Nobody could ever name a lease that was asked for without an id.
  if (is_notification(id)) return;
  core::LeaseRequest request;
  request.ticket = next_ticket_++;
  request.session = session->id;
  request.client = session->standing.client;
  request.payer = session->standing.payer;
  request.min = call.min;
  request.max = call.max;
  request.job = {call.job.type, call.job.target, call.job.memory, call.job.priority};
  if (call.timeout_ms) request.deadline = now + std::chrono::milliseconds(*call.timeout_ms);
  Asked asked{session->id, id, call.job.process.has_value(), now, call.min, call.job.type};
  request.owner = watched_owner(session, call.job.process);
  tickets_.emplace(request.ticket, std::move(asked));
  session->asked.emplace(key_of(id), request.ticket);
  const core::Ticket ticket = request.ticket;
  const SessionId session_id = session->id;
  world_.asks(session->standing);
  leases_.request(std::move(request), now, &effects_);
  carry_out(&effects_, now);
  if (subscribers_ > 0 && tickets_.contains(ticket)) {
    tell({"queued", 0, session_id, session->name, call.job.target, call.job.type, call.min, 0, 0});
  }
}

std::optional<core::ProcessId> Dispatcher::watched_owner(
    Session* session, const std::optional<wire::NamedProcess>& named) {
  if (!named) return std::nullopt;
  const bool itself = named->pid == session->shown_pid &&
                      (named->start == 0 || named->start == session->named_start);
  const auto who =
      itself && session->process ? session->process : world_.find(session->peer, *named);
  if (!who) return std::nullopt;
  // A lease that is left to a stranger, which knows nothing of it, would stay for as long as that
  // one lives.
  if (session->process && !world_.is_below(*who, *session->process)) return std::nullopt;
  return world_.watch(*who) ? who : std::nullopt;
}

const core::Lease* Dispatcher::own_lease(Session* session, const CallId& id, core::LeaseId lease) {
  const core::Lease* found = leases_.find(lease);
  if (found != nullptr && found->session == session->id) return found;
  refuse(session, id, ErrorCode::no_such_lease,
         "this session has no lease " + std::to_string(lease));
  return nullptr;
}

void Dispatcher::on_release(Session* session, const CallId& id, const wire::ReleaseCall& call,
                            Instant now) {
  if (const auto finished = session->finished.find(call.lease);
      finished != session->finished.end()) {
    session->finished.erase(finished);
    if (is_notification(id)) return;
    wire::append_slots_result(&session->outbox, id, 0);
    return list(session);
  }
  const core::Lease* lease = own_lease(session, id, call.lease);
  if (lease == nullptr) return;
  std::optional<wire::Event> event;
  if (subscribers_ > 0) {
    event = wire::Event{"released",
                        lease->id,
                        session->id,
                        session->name,
                        lease->job.target,
                        lease->job.type,
                        call.slots == 0 ? lease->slots : std::min(call.slots, lease->slots),
                        0,
                        0};
  }
  const int left = leases_.release(call.lease, call.slots, now, &effects_);
  if (!is_notification(id)) {
    wire::append_slots_result(&session->outbox, id, left);
    list(session);
  }
  carry_out(&effects_, now);
  if (event) tell(*event);
}

void Dispatcher::on_resize(Session* session, const CallId& id, const wire::ResizeCall& call,
                           Instant now) {
  const core::Lease* lease = own_lease(session, id, call.lease);
  if (lease == nullptr) return;
  world_.offer_for_resize(call.max - lease->slots);
  const auto slots = leases_.resize(call.lease, call.min, call.max, now, &effects_);
  if (!slots) {
    refuse(session, id, ErrorCode::unavailable, "so many slots are not free now");
  } else if (!is_notification(id)) {
    wire::append_slots_result(&session->outbox, id, *slots);
    list(session);
  }
  carry_out(&effects_, now);
}

void Dispatcher::on_report(Session* session, const CallId& id, const wire::ReportCall& call) {
  const bool has_finished = session->finished.contains(call.lease);
  if (!has_finished && own_lease(session, id, call.lease) == nullptr) return;
  std::optional<bool> watched;
  if (call.process) {
    const auto owner = has_finished ? std::nullopt : watched_owner(session, call.process);
    watched = owner.has_value();
    if (owner) leases_.hand_to(call.lease, owner);
  }
  if (is_notification(id)) return;
  wire::append_watched_result(&session->outbox, id, watched);
  list(session);
}

void Dispatcher::on_cancel(Session* session, const CallId& id, const wire::CancelCall& call,
                           Instant now) {
  const auto asked = session->asked.find(key_of(call.id));
  const bool cancelled = asked != session->asked.end();
  if (cancelled) {
    const core::Ticket ticket = asked->second;
    session->asked.erase(asked);
    tickets_.erase(ticket);
    TOKENPOOL_CHECK(leases_.cancel(ticket, now, &effects_));
    complain(session, call.id, ErrorCode::cancelled, "cancelled");
    if (subscribers_ > 0) tell({"cancelled", 0, session->id, session->name, "", "", 0, 0, 0});
  }
  if (!is_notification(id)) {
    wire::append_cancelled_result(&session->outbox, id, cancelled);
    list(session);
  }
  carry_out(&effects_, now);
}

void Dispatcher::on_set(Session* session, const CallId& id, const wire::SetCall& call,
                        Instant now) {
  if (call.ended_lease != 0 && leases_.find(call.ended_lease) == nullptr) {
    return refuse(session, id, ErrorCode::no_such_lease,
                  "there is no lease " + std::to_string(call.ended_lease));
  }
  if (!set(call, now)) {
    return refuse(session, id, ErrorCode::too_many, "limits: too many types have one");
  }
  if (!is_notification(id)) {
    wire::append_set_result(&session->outbox, id, world_.slots().now, limits(), leases_.paused());
    list(session);
  }
  carry_out(&effects_, now);
  if (subscribers_ > 0) {
    tell({"set", 0, session->id, session->name, "", "", world_.slots().now, 0, 0});
  }
}

bool Dispatcher::set(const wire::SetCall& call, Instant now) {
  if (core::changed(leases_.limits(), call.limits).size() > core::kMaxLimits) return false;
  // Whatever narrows the pool comes first, so that nobody slips in between two of the steps.
  const bool narrows = call.slots && *call.slots < world_.slots().now;
  if (call.paused && *call.paused) world_.set_paused(true);
  if (narrows) world_.set_slots(*call.slots);
  TOKENPOOL_CHECK(leases_.set_limits(call.limits, now, &effects_));
  if (call.ended_lease != 0) leases_.end_lease(call.ended_lease, now, &effects_);
  if (call.slots && !narrows) world_.set_slots(*call.slots);
  if (call.paused && !*call.paused) world_.set_paused(false);
  return true;
}

void Dispatcher::reconfigure(const wire::SetCall& call, Instant now) {
  // Not too many limits: whoever made the configuration has counted them.
  TOKENPOOL_CHECK(set(call, now));
  carry_out(&effects_, now);
}

void Dispatcher::on_subscribe(Session* session, const CallId& id) {
  if (!std::exchange(session->subscribed, true)) ++subscribers_;
  session->pids = pids_seen_by(*session);
  if (is_notification(id)) return;
  wire::append_watched_result(&session->outbox, id, std::nullopt);
  list(session);
}

}  // namespace tokenpool::session
