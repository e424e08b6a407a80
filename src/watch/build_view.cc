#include "watch/build_view.h"

#include <algorithm>
#include <chrono>

namespace tokenpool::watch {
namespace {

// A file that is kept open makes the next walk cheaper, and is one that somebody else lacks.
constexpr core::Instant kKeptOpen = std::chrono::seconds(10);

}  // namespace

void BuildWalks::begin(pid_t root, core::Instant now) {
  if (root != root_) census_.reset();
  root_ = root;
  now_ = now;
  if (!last_ || last_->at == now) return;
  if (census_ && now - last_->at > kKeptOpen) {
    census_->forget();
    last_.reset();
  }
}

const proc::CensusSample& BuildWalks::walk() {
  if (last_ && last_->at == now_) return *last_;
  if (!census_) census_.emplace(root_, exempt_);
  last_ = census_->walk(now_);
  if (mark_ != 0) {
    std::erase_if(last_->rows, [this](const proc::CensusRow& row) {
      return !proc::has_build_mark(row.who.pid, mark_);
    });
  }
  return *last_;
}

core::ProcessId BuildView::asker_of(core::SessionId session, core::ProcessId client) const {
  const auto found = processes.find(session);
  return found == processes.end() ? client : found->second;
}

core::ProcessId BuildView::holder_of(const core::Lease& lease) const {
  return lease.owner ? *lease.owner : asker_of(lease.session, lease.client);
}

bool BuildView::may_wait(const std::vector<proc::CensusRow>& family) const {
  if (pool == nullptr || !exhausted || pool->issued() == 0) return false;
  if (!tracked) return true;
  return std::ranges::any_of(family, [this](const proc::CensusRow& row) {
    const core::Account* account = pool->ledger().find(row.who);
    return account != nullptr && account->client;
  });
}

}  // namespace tokenpool::watch
