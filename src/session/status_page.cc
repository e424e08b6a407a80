// What the dispatcher tells of itself: the answer to a status.
#include <algorithm>
#include <utility>

#include "session/dispatcher.h"

namespace tokenpool::session {
namespace {

using core::Instant;
using core::SessionId;

std::int64_t ms_of(Instant duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

}  // namespace

std::vector<wire::LimitUse> Dispatcher::limits() const {
  std::vector<wire::LimitUse> list;
  for (const auto& [type, limit] : leases_.limits()) {
    list.push_back({type, limit, leases_.jobs_of_type(type)});
  }
  return list;
}

wire::StatusRow Dispatcher::row_of(SessionId session, const core::Job& job, Instant since,
                                   Instant now) const {
  wire::StatusRow row;
  row.session = session;
  if (const auto entry = sessions_.find(session); entry != sessions_.end()) {
    row.name = entry->second.name;
    row.pid = pid_of(entry->second);
  }
  row.type = job.type;
  row.target = job.target;
  row.priority = job.priority;
  row.age_ms = ms_of(now - since);
  return row;
}

std::int32_t Dispatcher::pid_of(const Session& session) {
  return session.process ? session.process->pid : session.shown_pid;
}

PidsSeen Dispatcher::pids_seen_by(const Session& session) const {
  return world_.pids_seen_by(session.process.value_or(core::ProcessId{}));
}

void Dispatcher::add_leases(wire::StatusResult* status, const PidsSeen& pids, Instant now) const {
  status->leases_total = leases_.leases().size();
  std::vector<const core::Lease*> oldest;
  oldest.reserve(leases_.leases().size());
  for (const auto& [lease_id, lease] : leases_.leases()) oldest.push_back(&lease);
  const auto shown = std::min(oldest.size(), wire::kMaxStatusRows);
  std::partial_sort(oldest.begin(), oldest.begin() + static_cast<std::ptrdiff_t>(shown),
                    oldest.end(), [](const core::Lease* a, const core::Lease* b) {
                      return std::pair(a->since, a->id) < std::pair(b->since, b->id);
                    });
  oldest.resize(shown);
  for (const core::Lease* lease : oldest) {
    auto row = row_of(lease->session, lease->job, lease->since, now);
    if (lease->owner) row.pid = lease->owner->pid;
    row.pid = pids(row.pid);
    row.lease = lease->id;
    row.slots = lease->slots;
    row.paid = lease->paid;
    status->leases.push_back(std::move(row));
  }
}

wire::StatusResult Dispatcher::leases(Instant now) const {
  wire::StatusResult status;
  add_leases(&status, [](std::int32_t pid) { return pid; }, now);
  return status;
}

void Dispatcher::add_waiting(wire::StatusResult* status, const PidsSeen& pids, Instant now) const {
  status->waiting_total = leases_.waiting_count();
  for (const core::LeaseRequest* request : leases_.waiting()) {
    if (status->waiting.size() == wire::kMaxStatusRows) break;
    auto row = row_of(request->session, request->job, tickets_.at(request->ticket).since, now);
    row.pid = pids(row.pid);
    row.min = request->min;
    row.max = request->max;
    status->waiting.push_back(std::move(row));
  }
}

void Dispatcher::on_status(Session* session, const wire::CallId& id, Instant now) {
  if (std::holds_alternative<std::monostate>(id)) return;
  wire::StatusResult status;
  status.server = config_.server;
  status.epoch = config_.epoch;
  status.pid = config_.pid;
  status.uptime_ms = ms_of(now - start_);
  status.paused = leases_.paused();
  status.draining = draining_;
  const SlotCount slots = world_.slots();
  status.slots = slots.now;
  if (slots.range.is_elastic()) status.range = slots.range;
  status.free = world_.free_slots();
  status.leased = leases_.leased();
  status.tokens = world_.tokens_held();
  status.implicit = config_.implicit;
  status.limits = limits();
  status.sessions = sessions_.size();
  const PidsSeen pids = pids_seen_by(*session);
  status.pid = pids(status.pid);
  add_leases(&status, pids, now);
  add_waiting(&status, pids, now);
  const auto& counters = leases_.counters();
  status.counters = {counters.granted,   counters.released, counters.recovered, counters.timed_out,
                     counters.cancelled, refused_,          unauthorized_,      counters.resumed};
  for (const auto& recovery : recoveries_) {
    status.recoveries.push_back(recovery.row);
    status.recoveries.back().ago_ms = ms_of(now - recovery.when);
    status.recoveries.back().pid = pids(recovery.row.pid);
  }
  status.uncooperative = world_.uncooperative();
  for (auto& row : status.uncooperative) row.pid = pids(row.pid);
  status.frozen = world_.frozen_jobs();
  world_.describe_build(&status);
  if (status.run) status.run->pid = pids(status.run->pid);
  for (auto& row : status.holders) row.pid = pids(row.pid);
  for (auto& row : status.jobs) {
    row.pid = pids(row.pid);
    row.holder = pids(row.holder);
  }
  wire::append_result(&session->outbox, id, status);
  list(session);
}

}  // namespace tokenpool::session
