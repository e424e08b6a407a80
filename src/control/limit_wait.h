// What those that wait for a lease wait for: slots, or that a job of their type ends, whose limit
// is reached. For the last resort (control/standstill.h): more slots help the former; the limit of
// a type is somebody's word and stays. Pure.
#pragma once

#include <string>
#include <vector>

#include "core/lease_pool.h"

namespace tokenpool::control {

/// A type that has as many jobs as it may have, and those that wait for one of them to end.
struct LimitWait {
  std::string type;
  int limit = 0;
  int waiting = 0;                     ///< requests, at least one
  std::vector<core::LeaseId> holders;  ///< in order
  friend bool operator==(const LimitWait&, const LimitWait&) = default;
};

/// By type. None while the pool is paused: then nobody waits for these.
std::vector<LimitWait> limit_waits(const core::LeasePool& leases);

bool is_at_limit(const core::LeasePool& leases, const std::string& type);

/// How many slots the first in line lacks of those whom no limit stops, where `free` are to be had
/// besides the pool's own: at least 1; 0: nobody waits for slots, or the pool is paused. A slot
/// that the asker may have been paid for is not counted.
int slots_lacking(const core::LeasePool& leases, int free);

}  // namespace tokenpool::control
