#include "watch/limit_watch.h"

#include <algorithm>

#include "watch/stuck.h"

namespace tokenpool::watch {

using control::LimitWait;
using control::Movement;
using core::Instant;
using core::ProcessId;
using proc::CensusRow;
using Family = std::vector<CensusRow>;

namespace {

bool is_any_stopped(const Family& family) {
  return std::any_of(family.begin(), family.end(),
                     [](const CensusRow& row) { return row.state == 'T'; });
}

bool waits_for_slot(const BuildView& view, core::LeaseId lease, const Family& family) {
  for (const core::LeaseRequest* request : view.leases->waiting()) {
    // A job that waits for its own limit, or one whose job waits for it, will not move.
    if (control::is_at_limit(*view.leases, request->job.type)) continue;
    if (request->payer.kind == core::Payer::Kind::lease && request->payer.lease == lease) {
      return true;
    }
    if (std::ranges::find(family, request->client, &CensusRow::who) != family.end()) return true;
  }
  return view.may_wait(family);
}

}  // namespace

std::vector<Family> LimitWatch::families_of(const BuildView& view, const LimitWait& wait,
                                            const CensusTree& tree) {
  std::vector<Family> families;
  for (const core::LeaseId id : wait.holders) {
    families.push_back(tree.family_of(view.holder_of(*view.leases->find(id))));
    if (families.back().empty() || waits_for_slot(view, id, families.back())) return {};
  }
  return families;
}

std::vector<board::StuckRow> LimitWatch::look(const BuildView& view,
                                              const proc::CensusSample& census,
                                              const CensusTree& tree) {
  std::vector<board::StuckRow> rows;
  const std::vector<LimitWait> waits = control::limit_waits(*view.leases);
  std::erase_if(watched_, [&](const auto& watched) {
    return std::none_of(waits.begin(), waits.end(),
                        [&](const LimitWait& wait) { return wait.type == watched.first; });
  });
  std::erase_if(named_,
                [&view](const auto& named) { return view.leases->find(named.first) == nullptr; });
  stopped_.clear();
  for (const LimitWait& wait : waits) {
    Watched& watched =
        watched_.try_emplace(wait.type, Watched{{}, control::Standstill(patience_)}).first->second;
    const std::vector<Family> families = families_of(view, wait, tree);
    Family all;
    for (const Family& family : families) all.insert(all.end(), family.begin(), family.end());
    Movement movement = watched.movement.look(census, all);
    if (families.empty()) movement = Movement::some;
    if (movement != Movement::some) {
      const bool stopped = std::all_of(families.begin(), families.end(), is_any_stopped);
      movement = stopped ? Movement::none : Movement::disk;
    }
    if (movement == Movement::none) {
      for (const CensusRow& row : all) stopped_.insert(row.who.pid);
    }
    if (watched.still.look(movement, view.now)) name(view, wait, tree, &rows);
  }
  return rows;
}

void LimitWatch::name(const BuildView& view, const LimitWait& wait, const CensusTree& tree,
                      std::vector<board::StuckRow>* rows) {
  for (const core::LeaseId id : wait.holders) {
    const core::Lease& lease = *view.leases->find(id);
    const ProcessId holder = view.holder_of(lease);
    const Family family = tree.family_of(holder);
    for (board::StuckRow& row : stuck_rows(CensusTree(family), {{holder, lease.slots}}, 0)) {
      if (!named_[id].insert(row.halted).second) continue;
      board::copy_text(wait.type, row.type);
      row.limit = wait.limit;
      row.waiting = wait.waiting;
      rows->push_back(row);
    }
  }
}

}  // namespace tokenpool::watch
