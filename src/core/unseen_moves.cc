#include "core/unseen_moves.h"

#include <algorithm>
#include <functional>

namespace tokenpool::core {
namespace {

using Stage = ExpectedCall::Stage;
using Fate = Deduction::Fate;

class Deducer {
 public:
  explicit Deducer(std::span<const ExpectedCall> calls) : calls_(calls) {
    for (const auto& call : calls) {
      const Fate fate = call.booked ? Fate::booked : Fate::stays;
      found_.fates.push_back(call.stage == Stage::pending ? fate : Fate::over);
    }
  }

  Deduction deduce(int drift, bool changed_hands) {
    const int returns = count_returns();
    const Indices takers = which(&is_new_taker);
    // So many takes make the difference.
    const int needed = returns - drift;
    if (needed < 0) return_more(-needed);
    const int surplus = size_of(takers) - std::max(0, needed);
    if (surplus > 0) {
      explain_surplus(takers, surplus, changed_hands);
    } else {
      for (const std::size_t index : takers) taken(1, {index});
      take_more(-surplus);
    }
    return std::move(found_);
  }

 private:
  using Indices = std::vector<std::size_t>;

  static int size_of(const Indices& indices) { return static_cast<int>(indices.size()); }
  static bool is_new_giver(const ExpectedCall& call) {
    return !call.takes && call.stage == Stage::over && !call.booked;
  }
  static bool is_early_giver(const ExpectedCall& call) {
    return !call.takes && call.stage == Stage::pending && call.booked;
  }
  static bool is_new_taker(const ExpectedCall& call) {
    return call.takes && call.stage == Stage::over && !call.booked;
  }

  [[nodiscard]] Indices which(const std::function<bool(const ExpectedCall&)>& is_meant) const {
    Indices indices;
    for (std::size_t i = 0; i < calls_.size(); ++i) {
      if (is_meant(calls_[i])) indices.push_back(i);
    }
    return indices;
  }

  [[nodiscard]] std::vector<ProcessId> who(const Indices& indices) const {
    std::vector<ProcessId> processes;
    for (const std::size_t index : indices) {
      const ProcessId process = calls_[index].who;
      if (std::find(processes.begin(), processes.end(), process) == processes.end()) {
        processes.push_back(process);
      }
    }
    return processes;
  }
  void taken(int tokens, const Indices& by) { found_.taken.push_back({tokens, who(by)}); }
  void returned(int tokens, const Indices& by) { found_.returned.push_back({tokens, who(by)}); }

  // Of those that are over. What was booked to one that is not, too early, was one of theirs.
  int count_returns() {
    const Indices givers = which(&is_new_giver);
    const Indices early = which(&is_early_giver);
    for (std::size_t i = 0; i < std::min(early.size(), givers.size()); ++i) {
      taken(1, {early[i]});
      found_.fates[early[i]] = Fate::stays;
    }
    for (const std::size_t index : givers) returned(1, {index});
    return std::max(0, size_of(givers) - size_of(early));
  }

  void return_more(int tokens) {
    tokens = return_pending(tokens);
    if (tokens > 0) returned(tokens, which([](const auto& call) { return !call.takes; }));
  }

  // Answers how many are left.
  int return_pending(int tokens) {
    for (std::size_t i = 0; i < calls_.size() && tokens > 0; ++i) {
      if (calls_[i].takes || found_.fates[i] != Fate::stays) continue;
      returned(1, {i});
      found_.fates[i] = Fate::booked;
      --tokens;
    }
    return tokens;
  }

  void take_more(int tokens) {
    if (tokens == 0) return;
    Indices by = which([](const auto& call) {
      if (!call.takes || call.booked || call.stage == Stage::failed) return false;
      return call.stage != Stage::over || call.several;
    });
    // All that are left have one already.
    if (by.empty()) by = which([](const auto& call) { return call.takes; });
    if (size_of(by) != tokens) {
      taken(tokens, by);
      if (by.size() == 1) book(by.front());
      return;
    }
    for (const std::size_t index : by) {
      taken(1, {index});
      book(index);
    }
  }

  void book(std::size_t index) {
    if (found_.fates[index] == Fate::stays) found_.fates[index] = Fate::booked;
  }

  // `surplus` of the takes make no difference.
  void explain_surplus(Indices takers, int surplus, bool changed_hands) {
    std::erase_if(takers, [&](std::size_t index) {
      if (surplus == 0 || !calls_[index].suspected) return false;
      found_.attributed.push_back(calls_[index].who);
      --surplus;
      return true;
    });
    surplus = return_pending(surplus);
    if (surplus > 0 && changed_hands) {
      returned(surplus, {});
      surplus = 0;
    }
    const int tokens = size_of(takers) - surplus;
    if (surplus > 0 && tokens > 0) return taken(tokens, takers);
    for (int i = 0; i < tokens; ++i) taken(1, {takers[static_cast<std::size_t>(i)]});
  }

  std::span<const ExpectedCall> calls_;
  Deduction found_;
};

}  // namespace

MoveCounts count_moves(int takes, int returns, int drift) {
  MoveCounts moves{.taken = takes, .returned = returns};
  if (returns - takes < drift) {
    moves.taken = returns - drift;
  } else {
    moves.returned = takes + drift;
  }
  const int lacking = std::max({0, -moves.taken, -moves.returned});
  moves.taken += lacking;
  moves.returned += lacking;
  return moves;
}

Deduction deduce_moves(int drift, bool changed_hands, std::span<const ExpectedCall> calls) {
  return Deducer(calls).deduce(drift, changed_hands);
}

}  // namespace tokenpool::core
