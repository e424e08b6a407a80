#include "control/lost_tokens.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace tokenpool::control {

int most_held(const std::vector<FamilyMember>& family) {
  std::unordered_map<std::int32_t, const FamilyMember*> by_pid;
  for (const FamilyMember& member : family) by_pid.emplace(member.pid, &member);
  // Whether somebody above it is a daemon, with no client in between. A pid that was used again may
  // close a circle.
  const auto is_daemon = [&](const FamilyMember* member) {
    for (std::size_t steps = 0; member != nullptr && steps <= family.size(); ++steps) {
      if (member->client) return false;
      if (member->daemon) return true;
      const auto parent = by_pid.find(member->parent);
      member = parent == by_pid.end() ? nullptr : parent->second;
    }
    return false;
  };
  std::unordered_set<std::int32_t> parents;
  std::vector<const FamilyMember*> jobs;
  for (const FamilyMember& member : family) {
    if (is_daemon(&member)) continue;
    jobs.push_back(&member);
    parents.insert(member.parent);
  }
  int slots = 0;
  for (const FamilyMember* job : jobs) slots += job->workers + (parents.contains(job->pid) ? 0 : 1);
  return std::max(0, slots - 1);
}

int LostTokens::look(int out, int most_held, core::Instant now) {
  const int excess = out - most_held;
  if (excess <= 0) {
    since_.reset();
    return 0;
  }
  if (!since_) {
    since_ = now;
    least_ = excess;
    looks_ = 0;
  }
  least_ = std::min(least_, excess);
  if (++looks_ < kLostLooks || now - *since_ < kLostWindow) return 0;
  since_.reset();
  return least_;
}

}  // namespace tokenpool::control
