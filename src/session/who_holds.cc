#include "session/who_holds.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "wire/plain_text.h"

namespace tokenpool::session {
namespace {

constexpr std::size_t kNamed = 3;

struct Holder {
  std::string text;
  std::int64_t age_ms = 0;
};

std::string count_of(int count, const char* one) {
  return std::to_string(count) + " " + one + (count == 1 ? "" : "s");
}

Holder holder_of(const std::string& name, std::int32_t pid, std::int64_t age_ms,
                 const std::string& what) {
  std::string text = wire::short_command(name) + " (";
  if (pid != 0) text += "pid " + std::to_string(pid) + ", ";
  return {text + wire::age_text(age_ms) + ", " + what + ")", age_ms};
}

}  // namespace

std::string who_holds(const wire::StatusResult& status) {
  std::vector<Holder> holders;
  for (const wire::StatusRow& lease : status.leases) {
    if (lease.slots == 0) continue;
    holders.push_back(holder_of(lease.target.empty() ? lease.name : lease.target, lease.pid,
                                lease.age_ms, count_of(lease.slots, "slot")));
  }
  int unknown = status.tokens;
  for (const wire::HolderRow& holder : status.holders) {
    if (holder.command.empty()) continue;
    unknown -= holder.tokens;
    holders.push_back(
        holder_of(holder.command, holder.pid, holder.age_ms, count_of(holder.tokens, "token")));
  }
  std::sort(holders.begin(), holders.end(), [](const Holder& a, const Holder& b) {
    return std::pair(-a.age_ms, a.text) < std::pair(-b.age_ms, b.text);
  });
  std::string text;
  for (std::size_t i = 0; i < std::min(holders.size(), kNamed); ++i) {
    text += (i == 0 ? "" : ", ") + holders[i].text;
  }
  if (unknown > 0) {
    text += (text.empty() ? "" : ", ") + std::string("clients of make's jobserver (") +
            count_of(unknown, "token") + ")";
  }
  const std::size_t unseen =
      status.leases_total - std::min(status.leases_total, status.leases.size());
  const std::size_t more = holders.size() - std::min(holders.size(), kNamed) + unseen;
  if (more > 0) text += " and " + std::to_string(more) + " more";
  return text;
}

std::string waiting_line(const wire::StatusResult& status, int wanted, const std::string& type,
                         std::int64_t waited_ms) {
  std::string line = "has waited " + wire::age_text(waited_ms) + " for " +
                     (wanted == 1 ? "a slot" : count_of(wanted, "slot")) + ": ";
  if (status.paused) return line + "the pool is paused; tokenpool resume lets it go on";
  const auto limit = std::find_if(status.limits.begin(), status.limits.end(),
                                  [&](const wire::LimitUse& one) { return one.type == type; });
  if (!type.empty() && limit != status.limits.end() && limit->used >= limit->limit) {
    line += count_of(limit->limit, "job") + " of type " + type + " may run at one time; ";
  }
  const std::string holders = who_holds(status);
  line += status.slots == 1 ? "the only one is"
                            : std::to_string(status.slots - status.free) + " of " +
                                  std::to_string(status.slots) + " are";
  line += holders.empty() ? " taken" : " taken by " + holders;
  const int ahead = static_cast<int>(status.waiting_total) - 1;
  if (ahead > 0) line += "; " + std::to_string(ahead) + (ahead == 1 ? " more waits" : " more wait");
  return line + "; see tokenpool status";
}

}  // namespace tokenpool::session
