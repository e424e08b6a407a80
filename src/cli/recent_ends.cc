#include "cli/recent_ends.h"

namespace tokenpool::cli {
namespace {

std::string name_of_lease(const wire::StatusRow& lease) {
  return lease.target.empty() ? lease.name : lease.target;
}

}  // namespace

void RecentEnds::look(const wire::StatusResult& status, Instant now) {
  std::map<Key, EndedJob> running;
  for (const wire::StatusRow& lease : status.leases) {
    running[{lease.lease, 0}] = {lease.pid, name_of_lease(lease), lease.age_ms};
  }
  for (const wire::JobRow& job : status.jobs) {
    if (job.holder != 0) running[{0, job.pid}] = {job.pid, job.command, job.age_ms};
  }
  // Where there are more than are told of, one that is missing may just have lost its place.
  const bool complete = status.leases.size() == status.leases_total &&
                        status.jobs.size() < wire::kMaxStatusRows &&
                        status.holders.size() < wire::kMaxHolderRows;
  for (const auto& [key, job] : running_) {
    if (complete && !running.contains(key)) ended_.emplace_front(now, job);
  }
  running_ = std::move(running);
  while (!ended_.empty() && (ended_.size() > kMost || now - ended_.back().first >= kShown)) {
    ended_.pop_back();
  }
}

std::vector<EndedJob> RecentEnds::jobs() const {
  std::vector<EndedJob> jobs;
  jobs.reserve(ended_.size());
  for (const auto& [when, job] : ended_) jobs.push_back(job);
  return jobs;
}

}  // namespace tokenpool::cli
