#include "watch/billing_watch.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include <unistd.h>

#include "proc/process.h"

namespace tokenpool::watch {
namespace {

using core::Instant;

}  // namespace

BillingWatch::BillingWatch(BillingWatchContext context, Instant now)
    : context_(std::move(context)),
      load_(context_.group),
      census_(context_.front, ::getpid()),
      due_(now + control::kBillingStep / 2) {
  context_.log->begin_at(now);
}

std::vector<control::Holding> BillingWatch::holdings() const {
  std::vector<control::Holding> all;
  const auto find = [&all](core::ProcessId who) -> control::Holding& {
    const auto known = std::find_if(all.begin(), all.end(),
                                    [&](const control::Holding& held) { return held.who == who; });
    return known != all.end() ? *known : all.emplace_back(control::Holding{who, 0, false});
  };
  for (const auto& [who, account] : context_.pool->ledger().accounts()) {
    if (!account.client && account.held() == 0) continue;
    all.push_back({who, account.held(), account.client || account.own > 0});
  }
  for (const auto& [id, lease] : context_.leases->leases()) {
    find(context_.holder_of(lease)).slots += lease.cost();
  }
  return all;
}

int BillingWatch::loose() const {
  if (!context_.tracked) return std::max(0, context_.out());
  int count = 0;
  for (const core::UnseenTake& take : context_.pool->ledger().unseen()) count += take.count;
  return count;
}

control::BillingSample BillingWatch::sample_of(const proc::CensusSample& census,
                                               std::vector<control::Holding> holdings,
                                               int loose) const {
  control::BillingSample sample{context_.front, {}, std::move(holdings), loose};
  sample.loads.reserve(census.rows.size());
  for (const proc::CensusRow& row : census.rows) {
    double demand = row.wanted();
    if (demand > 0 && proc::runs_program(row.who.pid, context_.program)) demand = 0;
    sample.loads.push_back({row.who, row.parent, demand, row.reaped, row.used});
  }
  return sample;
}

bool BillingWatch::step(Instant now) {
  const control::LoadSigns signs = load_.glance(now);
  due_ = now + control::kBillingStep;
  std::vector<control::Holding> held = holdings();
  const int loose = this->loose();
  int slots = 1 + loose;
  for (const control::Holding& holding : held) slots += holding.slots;
  switch (pace_.glance(signs, slots, billing_.is_suspicious(), now)) {
    case control::CensusPace::Answer::nothing:
      return false;
    case control::CensusPace::Answer::calm:
      billing_.calm();
      census_.forget();
      return note_accusations(now);
    case control::CensusPace::Answer::walk:
      break;
  }
  const proc::CensusSample census = census_.sample(now);
  const bool is_first = census.interval.count() == 0;
  if (!is_first) billing_.step(sample_of(census, std::move(held), loose), now);
  pace_.walked(census.cost, is_first || billing_.is_suspicious(), now);
  return note_accusations(now);
}

bool BillingWatch::note_accusations(Instant now) {
  const auto& accused = billing_.accused();
  const auto find = [&accused](const Named& named) {
    return std::find_if(accused.begin(), accused.end(), [&](const control::Accusation& accusation) {
      return accusation.who == named.accusation.who;
    });
  };
  std::erase_if(named_, [&](Named& named) {
    const auto found = find(named);
    if (found == accused.end()) {
      context_.log->release(named.row, now);
      return true;
    }
    named.accusation = *found;
    context_.log->accuse_more(named.row, found->cores);
    return false;
  });
  bool anew = false;
  for (const control::Accusation& accusation : accused) {
    const bool is_known = std::any_of(named_.begin(), named_.end(), [&](const Named& named) {
      return named.accusation.who == accusation.who;
    });
    if (is_known) continue;
    std::string command = proc::command_of(accusation.who.pid);
    const std::size_t row = context_.log->accuse(accusation, command);
    named_.push_back({accusation, std::move(command), row});
    context_.watch(accusation.who);
    anew = true;
  }
  return anew;
}

void BillingWatch::process_ended(core::ProcessId who, Instant now) {
  if (billing_.ended(who)) (void)note_accusations(now);
}

std::vector<wire::UncooperativeRow> BillingWatch::accused(Instant now) const {
  std::vector<wire::UncooperativeRow> rows;
  for (const Named& named : named_) {
    const auto since =
        std::chrono::duration_cast<std::chrono::milliseconds>(now - named.accusation.since);
    rows.push_back({named.accusation.who.pid, named.command,
                    std::lround(1000 * named.accusation.cores), since.count()});
  }
  return rows;
}

std::vector<core::ProcessId> BillingWatch::accused_processes() const {
  std::vector<core::ProcessId> processes;
  for (const Named& named : named_) processes.push_back(named.accusation.who);
  return processes;
}

void BillingWatch::close(Instant now) {
  billing_.calm();
  (void)note_accusations(now);
}

}  // namespace tokenpool::watch
