#include "host/run_rescue.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <string_view>
#include <utility>

#include <unistd.h>

#include "core/limits.h"
#include "proc/process.h"

namespace tokenpool::host {
namespace {

using core::Instant;
using std::chrono::milliseconds;

constexpr Instant kLongestPause = std::chrono::seconds(1);
constexpr Instant kUnseenPause = milliseconds(500);
constexpr Instant kSuspiciousPause = milliseconds(250);
// Walks take this share of a CPU at most.
constexpr int kCostShare = 200;

// Clients that hold tokens for threads of their own, not for children (facts: rustc's codegen
// units, the linkers' and gcc's link-time optimizers).
bool works_in_threads(std::string_view name) {
  constexpr std::array<std::string_view, 6> kNames{"rustc",  "lto1",        "lld",
                                                   "ld.lld", "lto-wrapper", "wasm-ld"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

// Scripts that fetch what there is and then run one command with it.
bool hoards(const proc::CensusRow& row) {
  return row.name.starts_with("python") &&
         proc::command_of(row.who.pid).find("jobserver-exec") != std::string::npos;
}

pid_t session_of(pid_t pid) {
  const auto info = proc::read_process(pid);
  return info ? info->session : 0;
}

}  // namespace

RunRescue::RunRescue(RunRescueContext context, Instant now)
    : context_(std::move(context)),
      census_(context_.front, ::getpid()),
      still_(context_.patience),
      pause_(context_.patience.count() == 0
                 ? kLongestPause
                 : std::min(kLongestPause, context_.patience / (core::kStandstillLooks + 1))),
      due_(now + pause_) {}

bool RunRescue::is_exhausted() const {
  const core::Pool& pool = *context_.pool;
  // Who is frozen is thawed in time, and is meant not to be replaced.
  if (context_.has_frozen()) return false;
  if (!context_.is_exhausted() || context_.leases->paused()) return false;
  // With one slot nobody is short of tokens, unless somebody asks.
  return pool.issued() > 0 || context_.leases->waiting_count() > 0 || !pool.waiting().empty();
}

void RunRescue::step(Instant now) {
  if (!context_.tracked) take_back_surplus(now);
  const int unseen = context_.tracked ? 0 : context_.out();
  const bool exhausted = is_exhausted() && context_.patience.count() > 0;
  const Instant pause = context_.tracked ? pause_ : std::min(pause_, kUnseenPause);
  due_ = now + pause;
  if (unseen <= 0 && !exhausted) {
    (void)lost_.look(0, 0, now);
    (void)still_.look(core::Movement::some, now);
    return census_.forget();
  }
  const proc::CensusSample census = census_.sample(now);
  if (!context_.tracked) mint(lost_.look(unseen, most_held(family_of(census)), now), false, now);
  const bool still = exhausted && is_exhausted();
  if (still_.look(still ? movement_of(census) : core::Movement::some, now)) {
    name_stuck();
    mint(1, context_.tracked && context_.pool->issued() > 0, now);
    context_.tell();
  }
  due_ = now + std::max(lost_.is_suspicious() ? kSuspiciousPause : pause, kCostShare * census.cost);
}

std::vector<core::FamilyMember> RunRescue::family_of(const proc::CensusSample& census) const {
  const pid_t session = session_of(context_.front);
  std::vector<core::FamilyMember> family;
  for (const proc::CensusRow& row : census.rows) {
    if (row.who.pid == context_.front) continue;
    core::FamilyMember member{row.who.pid, row.parent};
    if (works_in_threads(row.name)) member.workers = std::max(0, row.threads - 1);
    if (hoards(row)) member.workers = core::kMaxSlots;
    member.daemon =
        row.parent == context_.front && row.state != 'Z' && session_of(row.who.pid) != session;
    family.push_back(member);
  }
  return family;
}

core::Movement RunRescue::movement_of(const proc::CensusSample& census) const {
  using core::Movement;
  // The first walk knows no rates; a build that was stopped by its user stands still on purpose.
  if (census.interval.count() == 0 || census.rows.empty()) return Movement::some;
  if (census.rows.front().state == 'T') return Movement::some;
  double demand = 0;
  bool disk = false;
  for (const proc::CensusRow& row : census.rows) {
    demand += row.demand();
    if (row.state == 'R') return Movement::some;
    disk = disk || row.state == 'D';
  }
  if (demand >= core::kStillUse) return Movement::some;
  return disk ? Movement::disk : Movement::none;
}

// More lies there than was issued: somebody has returned what was taken for lost.
void RunRescue::take_back_surplus(Instant now) {
  const int surplus = std::min(-context_.out(), context_.pool->minted());
  if (surplus <= 0) return;
  context_.pool->unmint(surplus, now, context_.effects);
  context_.apply();
}

void RunRescue::mint(int count, bool known, Instant now) {
  count = std::min(count, core::kMaxSlots - context_.pool->minted());
  if (count <= 0) return;
  context_.pool->mint(count, known, now, context_.effects);
  context_.apply();
}

void RunRescue::name_stuck() {
  std::map<core::ProcessId, int> holders;
  for (const auto& [who, account] : context_.pool->ledger().accounts()) {
    if (account.held() > 0) holders[who] += account.held();
  }
  for (const auto& [id, lease] : context_.leases->leases()) {
    if (lease.cost() > 0) holders[context_.holder_of(lease)] += lease.cost();
  }
  for (const auto& [who, held] : holders) {
    context_.log->add_stuck(who.pid, held, proc::command_of(who.pid));
  }
  const int unknown = context_.tracked ? 0 : context_.out();
  if (unknown > 0 || holders.empty()) context_.log->add_stuck(0, std::max(1, unknown), "");
}

}  // namespace tokenpool::host
