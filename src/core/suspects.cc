#include "core/suspects.h"

#include <algorithm>
#include <utility>

namespace tokenpool::core {
namespace {

bool is_suspected(const UnseenTake& take, ProcessId who) {
  return std::ranges::find(take.suspects, who) != take.suspects.end();
}

}  // namespace

void Suspects::add(UnseenTake take) {
  std::ranges::sort(take.suspects);
  const auto twice = std::ranges::unique(take.suspects);
  take.suspects.erase(twice.begin(), twice.end());
  const auto same = std::ranges::find(takes_, take.suspects, &UnseenTake::suspects);
  if (same != takes_.end()) {
    same->count += take.count;
  } else {
    takes_.push_back(std::move(take));
  }
}

bool Suspects::includes(ProcessId who) const {
  return std::ranges::any_of(takes_,
                             [who](const UnseenTake& take) { return is_suspected(take, who); });
}

// The smallest set names its holder best.
bool Suspects::settle(ProcessId who, std::size_t most) {
  Take best = takes_.end();
  for (auto take = takes_.begin(); take != takes_.end(); ++take) {
    if (!is_suspected(*take, who)) continue;
    if (best == takes_.end() || take->suspects.size() < best->suspects.size()) best = take;
  }
  return best != takes_.end() && best->suspects.size() <= most && pay(best);
}

bool Suspects::settle_any_of(std::span<const ProcessId> openers) {
  const auto take = std::ranges::find_if(takes_, [openers](const UnseenTake& one) {
    return std::ranges::any_of(openers, [&one](ProcessId who) { return is_suspected(one, who); });
  });
  return take != takes_.end() && pay(take);
}

bool Suspects::settle_any() { return !takes_.empty() && pay(takes_.begin()); }

bool Suspects::pay(Take take) {
  if (--take->count == 0) takes_.erase(take);
  return true;
}

int Suspects::close(ProcessId who, std::optional<ProcessId> heir) {
  int freed = 0;
  for (UnseenTake& take : takes_) {
    auto& suspects = take.suspects;
    if (std::erase(suspects, who) > 0 && heir && !is_suspected(take, *heir)) {
      suspects.insert(std::ranges::upper_bound(suspects, *heir), *heir);
    }
    if (suspects.empty()) freed += take.count;
  }
  std::erase_if(takes_, [](const UnseenTake& take) { return take.suspects.empty(); });
  return freed;
}

int Suspects::close_all() {
  int freed = 0;
  for (const UnseenTake& take : std::exchange(takes_, {})) freed += take.count;
  return freed;
}

}  // namespace tokenpool::core
