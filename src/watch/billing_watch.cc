#include "watch/billing_watch.h"

#include <algorithm>
#include <utility>

#include "proc/process.h"

namespace tokenpool::watch {
namespace {

using core::Instant;

std::vector<control::Holding> holdings_of(const BuildView& view) {
  std::vector<control::Holding> all;
  const auto find = [&all](core::ProcessId who) -> control::Holding& {
    const auto known = std::find_if(all.begin(), all.end(),
                                    [&](const control::Holding& held) { return held.who == who; });
    return known != all.end() ? *known : all.emplace_back(control::Holding{who, 0, false});
  };
  for (const auto& [who, account] : view.pool->ledger().accounts()) {
    if (!account.client && account.held() == 0) continue;
    all.push_back({who, account.held(), account.client || account.own > 0});
  }
  for (const auto& [id, lease] : view.leases->leases()) {
    find(view.holder_of(lease)).slots += lease.cost();
  }
  return all;
}

int loose_slots(const BuildView& view) {
  if (!view.tracked) return std::max(0, view.out);
  int count = 0;
  for (const core::UnseenTake& take : view.pool->ledger().unseen()) count += take.count;
  return count;
}

}  // namespace

BillingWatch::BillingWatch(const std::string& group, proc::FileId program, Instant now)
    : load_(group), program_(program), due_(now + control::kBillingStep / 2) {}

control::BillingSample BillingWatch::sample_of(const BuildView& view,
                                               const proc::CensusSample& census,
                                               std::vector<control::Holding> holdings,
                                               int loose) const {
  control::BillingSample sample{view.root, {}, std::move(holdings), loose};
  sample.loads.reserve(census.rows.size());
  for (const proc::CensusRow& row : census.rows) {
    double demand = row.wanted();
    if (demand > 0 && proc::runs_program(row.who.pid, program_)) demand = 0;
    sample.loads.push_back(
        {row.who, row.parent, demand, row.reaped, row.use_seconds + row.reaped_seconds});
  }
  return sample;
}

void BillingWatch::look(const BuildView& view) {
  const Instant now = view.now;
  const control::LoadSigns signs = load_.glance(now);
  due_ = now + control::kBillingStep;
  std::vector<control::Holding> held = holdings_of(view);
  const int loose = loose_slots(view);
  int slots = 1 + loose;
  for (const control::Holding& holding : held) slots += holding.slots;
  switch (pace_.glance(signs, slots, billing_.is_suspicious(), now)) {
    case control::CensusPace::Answer::nothing:
      return;
    case control::CensusPace::Answer::calm:
      billing_.calm();
      return rates_.forget();
    case control::CensusPace::Answer::walk:
      break;
  }
  const proc::CensusSample census = rates_.look(view.walk());
  const bool is_first = census.interval.count() == 0;
  if (!is_first) (void)billing_.step(sample_of(view, census, std::move(held), loose), now);
  pace_.walked(census.cost, is_first || billing_.is_suspicious(), now);
}

}  // namespace tokenpool::watch
