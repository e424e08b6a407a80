#include "watch/census_tree.h"

#include <algorithm>
#include <set>

namespace tokenpool::watch {

using core::ProcessId;
using proc::CensusRow;

CensusTree::CensusTree(const std::vector<CensusRow>& rows) : rows_(rows) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    by_pid_[rows[i].who.pid] = i;
    children_.emplace(rows[i].parent, i);
  }
}

const CensusRow* CensusTree::find(ProcessId who) const {
  const auto row = by_pid_.find(who.pid);
  if (row == by_pid_.end() || rows_[row->second].who != who) return nullptr;
  return &rows_[row->second];
}

std::vector<CensusRow> CensusTree::family_of(ProcessId who) const {
  std::vector<CensusRow> family;
  const CensusRow* first = find(who);
  if (first == nullptr) return family;
  std::set<pid_t> seen;
  std::vector<const CensusRow*> open{first};
  while (!open.empty()) {
    const CensusRow* row = open.back();
    open.pop_back();
    // Files that were read one after the other may tell of a circle.
    if (!seen.insert(row->who.pid).second) continue;
    family.push_back(*row);
    const auto [begin, end] = children_.equal_range(row->who.pid);
    for (auto child = begin; child != end; ++child) open.push_back(&rows_[child->second]);
  }
  return family;
}

std::vector<HaltedProcess> CensusTree::halted(
    char state, const std::function<bool(ProcessId)>& is_holder) const {
  std::vector<HaltedProcess> halted;
  for (const CensusRow& row : rows_) {
    if (row.state != state) continue;
    HaltedProcess one{row.who, state, std::nullopt};
    bool is_first = true;
    const CensusRow* at = &row;
    for (std::size_t steps = 0; at != nullptr && steps <= rows_.size(); ++steps) {
      if (at != &row && at->state == state) is_first = false;
      if (is_holder(at->who)) {
        one.holder = at->who;
        break;
      }
      const auto parent = by_pid_.find(at->parent);
      at = parent == by_pid_.end() ? nullptr : &rows_[parent->second];
    }
    if (is_first) halted.push_back(one);
  }
  std::sort(halted.begin(), halted.end(),
            [](const auto& one, const auto& other) { return one.who < other.who; });
  return halted;
}

std::vector<HaltedProcess> CensusTree::halted(
    const std::function<bool(ProcessId)>& is_holder) const {
  auto stopped = halted('T', is_holder);
  return stopped.empty() ? halted('D', is_holder) : stopped;
}

}  // namespace tokenpool::watch
