#include "session/token_news.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace tokenpool::session {
namespace {

using Held = std::unordered_map<core::ProcessId, int, core::ProcessIdHash>;

Held held_now(const core::Pool& pool) {
  Held held;
  for (const auto& [who, account] : pool.ledger().accounts()) {
    if (account.held() > 0) held.emplace(who, account.held());
  }
  for (const core::UnseenTake& take : pool.ledger().unseen()) held[core::ProcessId{}] += take.count;
  return held;
}

}  // namespace

void TokenNews::look(const core::Pool& pool,
                     const std::function<std::string(core::ProcessId)>& command_of,
                     const std::function<void(const TokenEvent&)>& tell) {
  const Held now = held_now(pool);
  const bool first = !std::exchange(begun_, true);
  if (first) holders_.clear();
  const std::uint64_t recovered = pool.counters().recovered;
  auto back = static_cast<int>(recovered - std::exchange(recovered_, recovered));
  // What was given back comes before what was taken: the books never show more than there is.
  for (auto entry = holders_.begin(); !first && entry != holders_.end();) {
    const auto& [who, holder] = *entry;
    const auto still = now.find(who);
    const int fewer = holder.held - (still == now.end() ? 0 : still->second);
    if (fewer > 0) {
      // Of the unseen ones nobody knows whether they were returned or their holders have ended.
      const bool lives = pool.ledger().find(who) != nullptr;
      const int freed = lives ? 0 : std::min(fewer, back);
      back -= freed;
      if (freed > 0) tell({"recovered", freed, who, holder.command});
      const bool passed = !lives && who.pid != 0;
      if (fewer > freed) {
        tell({passed ? "passed" : "returned", fewer - freed, who, holder.command});
      }
    }
    entry = still == now.end() ? holders_.erase(entry) : std::next(entry);
  }
  for (const auto& [who, held] : now) {
    Holder& holder = holders_[who];
    if (holder.held == 0 && who.pid != 0) holder.command = command_of(who);
    const int more = held - std::exchange(holder.held, held);
    if (more > 0 && !first) tell({"taken", more, who, holder.command});
  }
}

}  // namespace tokenpool::session
