#include "control/limit_wait.h"

#include <algorithm>
#include <map>
#include <utility>

namespace tokenpool::control {

bool is_at_limit(const core::LeasePool& leases, const std::string& type) {
  const auto limit = leases.limits().find(type);
  return limit != leases.limits().end() && leases.jobs_of_type(type) >= limit->second;
}

std::vector<LimitWait> limit_waits(const core::LeasePool& leases) {
  std::vector<LimitWait> waits;
  if (leases.paused() || leases.limits().empty()) return waits;
  std::map<std::string, int> asked;
  for (const core::LeaseRequest* request : leases.waiting()) {
    if (is_at_limit(leases, request->job.type)) ++asked[request->job.type];
  }
  for (const auto& [type, count] : asked) {
    LimitWait wait{type, leases.limits().at(type), count, {}};
    for (const auto& [id, lease] : leases.leases()) {
      if (lease.job.type == type) wait.holders.push_back(id);
    }
    std::sort(wait.holders.begin(), wait.holders.end());
    waits.push_back(std::move(wait));
  }
  return waits;
}

int slots_lacking(const core::LeasePool& leases, int free) {
  if (leases.paused()) return 0;
  for (const core::LeaseRequest* request : leases.waiting()) {
    if (is_at_limit(leases, request->job.type)) continue;
    const int paid = request->payer.kind == core::Payer::Kind::nobody ? 0 : 1;
    return std::max(1, request->min - paid - free - std::max(0, leases.free()));
  }
  return 0;
}

}  // namespace tokenpool::control
