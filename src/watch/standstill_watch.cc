#include "watch/standstill_watch.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <string_view>
#include <unordered_set>
#include <utility>

#include <unistd.h>

#include "control/job_tree.h"
#include "control/limit_wait.h"
#include "core/limits.h"
#include "proc/process.h"
#include "proc/process_files.h"
#include "watch/stuck.h"

namespace tokenpool::watch {
namespace {

using core::Instant;
using std::chrono::milliseconds;

constexpr Instant kBlindPause = std::chrono::seconds(5);
constexpr Instant kUnseenPause = milliseconds(500);
constexpr Instant kSuspiciousPause = milliseconds(250);
constexpr Instant kZombiePause = milliseconds(500);

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

// Stopped at a prompt: Ctrl-Z.
bool is_under_job_control(pid_t pid) {
  const auto info = proc::read_process(pid);
  const auto parent = info ? proc::read_process(info->parent) : std::nullopt;
  return parent && control::is_shell(parent->name) && parent->group != info->group;
}

}  // namespace

StandstillWatch::StandstillWatch(StandstillWatchContext context, Instant now)
    : context_(std::move(context)),
      still_(context_.patience),
      idle_(context_.patience),
      limits_({.leases = context_.leases,
               .holder_of = context_.holder_of,
               .may_wait = [this](const auto& family) { return may_wait(family); },
               .patience = context_.patience}),
      due_(now + still_.pause()),
      stroll_(now + context_.patience) {}

proc::CensusSample StandstillWatch::walk(Instant now) {
  // A front that is about to return is still there when those are counted that it leaves.
  if (const pid_t root = context_.root(); root != counted_) {
    counted_ = root;
    census_.emplace(root, ::getpid());
  }
  proc::CensusSample census = census_->sample(now);
  if (context_.left_mark == 0) return census;
  std::erase_if(census.rows, [this](const proc::CensusRow& row) {
    return !proc::has_build_mark(row.who.pid, context_.left_mark);
  });
  return census;
}

bool StandstillWatch::is_stopped(const proc::CensusSample& census) const {
  return census.rows.empty() || (context_.left_mark == 0 && census.rows.front().state == 'T');
}

bool StandstillWatch::lacks_slots() const {
  const core::Pool& pool = *context_.pool;
  if (context_.leases->paused()) return false;
  const bool lease_waits = control::slots_lacking(*context_.leases, 0) > 0;
  if (!context_.is_exhausted()) {
    // One that wants more than is left. What is kept for a client that asks blindly is free again
    // before long.
    const bool held = context_.out() > 0 || context_.leases->leased() > 0;
    return lease_waits && held && pool.reserved() == 0;
  }
  // With one slot nobody is short of tokens, unless somebody asks. Who is frozen goes on with the
  // one that is made.
  return pool.issued() > 0 || context_.has_frozen() || lease_waits || !pool.waiting().empty();
}

// A read of what lies there would not wait, so nothing lies there.
bool StandstillWatch::is_asked_unseen(const proc::CensusSample& census) const {
  if (context_.tracked || context_.pool->issued() > 0 || context_.leases->paused()) return false;
  return context_.is_exhausted() &&
         std::ranges::any_of(census.rows, [this](const proc::CensusRow& row) {
           return row.state == 'S' && context_.waits_to_read(row.who);
         });
}

bool StandstillWatch::may_wait(const std::vector<proc::CensusRow>& family) const {
  const core::Pool& pool = *context_.pool;
  if (!context_.is_exhausted() || pool.issued() == 0) return false;
  if (!context_.tracked) return true;
  return std::any_of(family.begin(), family.end(), [&pool](const proc::CensusRow& row) {
    const core::Account* account = pool.ledger().find(row.who);
    return account != nullptr && account->client;
  });
}

void StandstillWatch::step(Instant now) {
  // Where no process can be seen, everybody would look dead or idle.
  if (!proc::ProcessFiles::are_readable()) {
    due_ = now + kBlindPause;
    return;
  }
  if (!context_.tracked) take_back_surplus(now);
  const int unseen = context_.tracked ? 0 : context_.out();
  const bool strolls = context_.left_mark == 0 && stroll_ <= now;
  const bool looks = lacks_slots() || limits_.has_to_look() || strolls;
  const Instant pause = context_.tracked ? still_.pause() : std::min(still_.pause(), kUnseenPause);
  due_ = now + pause;
  if (unseen <= 0 && !(looks && context_.patience.count() > 0)) {
    (void)lost_.look(0, 0, now);
    (void)still_.look(control::Movement::some, now);
    return limits_.forget();
  }
  const proc::CensusSample census = walk(now);
  if (!context_.tracked)
    mint(lost_.look(unseen, most_held(family_of(census, now)), now), false, now);
  const Instant cost_pause = kRescueCostShare * census.cost;
  due_ = now + std::max(lost_.is_suspicious() ? kSuspiciousPause : pause, cost_pause);
  if (context_.patience.count() == 0) return;
  const control::Movement movement = movement_of(census);
  const bool lacks =
      lacks_slots() || (movement == control::Movement::none && is_asked_unseen(census));
  look_for_slots(census, lacks, movement, now);
  look_at_limits(census, now);
  look_for_halted(census, lacks, movement, now);
  // Who moves is left alone for a while.
  stroll_ =
      movement == control::Movement::some ? now + std::max(context_.patience, cost_pause) : now;
}

void StandstillWatch::look_for_slots(const proc::CensusSample& census, bool lacks,
                                     control::Movement movement, Instant now) {
  if (!still_.look(lacks ? movement : control::Movement::some, now)) return;
  name_stuck(census);
  const bool known = context_.pool->issued() > 0 || context_.has_frozen();
  // Without a tracker nobody knows how many are free.
  const int free = context_.tracked ? context_.pool->free() : core::kMaxSlots;
  mint(std::max(1, control::slots_lacking(*context_.leases, free)), context_.tracked && known, now);
  context_.tell();
}

void StandstillWatch::look_for_halted(const proc::CensusSample& census, bool lacks,
                                      control::Movement movement, Instant now) {
  const bool on_purpose = lacks || context_.has_frozen() || context_.leases->paused();
  if (!idle_.look(on_purpose ? control::Movement::some : movement, now)) return;
  std::vector<board::StuckRow> rows = stuck_rows(CensusTree(census.rows), {}, 0);
  std::erase_if(rows, [this](const board::StuckRow& row) {
    return limits_.names_soon(row.halted) || is_under_job_control(row.halted);
  });
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i].too = i > 0;
    context_.log->add_stuck(rows[i]);
  }
  if (!rows.empty()) context_.tell();
}

void StandstillWatch::look_at_limits(const proc::CensusSample& census, Instant now) {
  // Who is made to stand still, or is stopped with the whole build, goes on some time.
  if (is_stopped(census) || context_.has_frozen()) return limits_.forget();
  const std::vector<board::StuckRow> rows = limits_.look(census, CensusTree(census.rows), now);
  for (const board::StuckRow& row : rows) context_.log->add_stuck(row);
  if (!rows.empty()) context_.tell();
}

bool StandstillWatch::is_forgotten(const proc::CensusRow& row, Instant now) {
  return row.state == 'Z' && now - zombies_.try_emplace(row.who, now).first->second >= kZombiePause;
}

std::vector<control::FamilyMember> StandstillWatch::family_of(const proc::CensusSample& census,
                                                              Instant now) {
  const CensusTree tree(census.rows);
  std::erase_if(zombies_,
                [&tree](const auto& zombie) { return tree.find(zombie.first) == nullptr; });
  const pid_t session = session_of(counted_);
  std::vector<control::FamilyMember> family;
  std::vector<core::ProcessId> daemons;
  for (const proc::CensusRow& row : census.rows) {
    if (row.who.pid == counted_ || is_forgotten(row, now)) continue;
    control::FamilyMember member{row.who.pid, row.parent};
    if (works_in_threads(row.name)) member.workers = std::max(0, row.threads - 1);
    if (hoards(row)) member.workers = core::kMaxSlots;
    member.daemon =
        row.parent == counted_ && row.state != 'Z' && session_of(row.who.pid) != session;
    if (member.daemon) daemons.push_back(row.who);
    family.push_back(member);
  }
  // Few builds have daemons, and this costs a look at all descriptors of a process.
  std::unordered_set<pid_t> clients;
  for (const core::ProcessId daemon : daemons) {
    for (const proc::CensusRow& row : tree.family_of(daemon)) {
      if (context_.is_client(row.who)) clients.insert(row.who.pid);
    }
  }
  for (control::FamilyMember& member : family) member.client = clients.contains(member.pid);
  return family;
}

control::Movement StandstillWatch::movement_of(const proc::CensusSample& census) {
  const control::Movement movement = movement_.look(census, census.rows);
  return is_stopped(census) ? control::Movement::some : movement;
}

// More lies there than was issued: somebody has returned what was taken for lost.
void StandstillWatch::take_back_surplus(Instant now) {
  const int surplus = std::min(-context_.out(), context_.pool->minted());
  if (surplus <= 0) return;
  context_.pool->unmint(surplus, now, context_.effects);
  context_.apply();
}

void StandstillWatch::mint(int count, bool known, Instant now) {
  count = std::min(count, core::kMaxSlots - context_.pool->minted());
  if (count <= 0) return;
  context_.pool->mint(count, known, now, context_.effects);
  context_.apply();
}

void StandstillWatch::name_stuck(const proc::CensusSample& census) {
  std::map<core::ProcessId, int> holders;
  for (const auto& [who, account] : context_.pool->ledger().accounts()) {
    if (account.held() > 0) holders[who] += account.held();
  }
  for (const auto& [id, lease] : context_.leases->leases()) {
    // The implicit slot is a slot, too.
    const bool is_root = lease.payer.kind == core::Payer::Kind::root;
    const int held = is_root ? lease.slots : lease.cost();
    if (held > 0) holders[context_.holder_of(lease)] += held;
  }
  int unknown = context_.tracked ? 0 : std::max(0, context_.out());
  if (holders.empty()) unknown = std::max(1, unknown);
  std::vector<proc::CensusRow> rows = census.rows;
  // The arbiter knows who stopped those.
  if (context_.has_frozen()) {
    std::erase_if(rows, [](const proc::CensusRow& row) { return row.state == 'T'; });
  }
  for (const board::StuckRow& row : stuck_rows(CensusTree(rows), holders, unknown)) {
    context_.log->add_stuck(row);
  }
}

}  // namespace tokenpool::watch
