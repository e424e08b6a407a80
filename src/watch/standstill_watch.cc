#include "watch/standstill_watch.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "control/job_tree.h"
#include "control/limit_wait.h"
#include "core/limits.h"
#include "dialect/tool.h"
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

void mint(const BuildView& view, int count, Verdict* verdict) {
  const int most = core::kMaxSlots - (view.pool->minted() - verdict->unmint + verdict->mint);
  verdict->mint += std::max(0, std::min(count, most));
}

void name_stuck(const BuildView& view, const proc::CensusSample& census, int out,
                Verdict* verdict) {
  std::map<core::ProcessId, int> holders;
  for (const auto& [who, account] : view.pool->ledger().accounts()) {
    if (account.held() > 0) holders[who] += account.held();
  }
  for (const auto& [id, lease] : view.leases->leases()) {
    // The implicit slot is a slot, too.
    const bool is_root = lease.payer.kind == core::Payer::Kind::root;
    const int held = is_root ? lease.slots : lease.cost();
    if (held > 0) holders[view.holder_of(lease)] += held;
  }
  int unknown = view.tracked ? 0 : std::max(0, out);
  if (holders.empty()) unknown = std::max(1, unknown);
  std::vector<proc::CensusRow> rows = census.rows;
  // The arbiter knows who stopped those.
  if (view.frozen > 0) {
    std::erase_if(rows, [](const proc::CensusRow& row) { return row.state == 'T'; });
  }
  verdict->stuck = stuck_rows(CensusTree(rows), holders, unknown);
}

}  // namespace

StandstillWatch::StandstillWatch(const StandstillConfig& config, Instant now)
    : config_(config),
      still_(config.patience),
      idle_(config.patience),
      limits_(config.patience),
      due_(now + still_.pause()),
      stroll_(now + config.patience) {}

bool StandstillWatch::is_stopped(const proc::CensusSample& census) const {
  return census.rows.empty() || (!config_.left && census.rows.front().state == 'T');
}

bool StandstillWatch::lacks_slots(const BuildView& view, const Figures& figures) {
  const core::Pool& pool = *view.pool;
  if (view.leases->paused()) return false;
  const bool lease_waits = control::slots_lacking(*view.leases, 0) > 0;
  if (!figures.exhausted) {
    // One that wants more than is left. What is kept for a client that asks blindly is free again
    // before long.
    const bool held = figures.out > 0 || view.leases->leased() > 0;
    return lease_waits && held && pool.reserved() == 0;
  }
  // With one slot nobody is short of tokens, unless somebody asks. Who is frozen goes on with the
  // one that is made.
  return pool.issued() > 0 || view.frozen > 0 || lease_waits || !pool.waiting().empty();
}

// A read of what lies there would not wait, so nothing lies there.
bool StandstillWatch::is_asked_unseen(const BuildView& view, const Figures& figures,
                                      const proc::CensusSample& census) const {
  if (view.tracked || view.pool->issued() > 0 || view.leases->paused()) return false;
  return figures.exhausted && std::ranges::any_of(census.rows, [this](const proc::CensusRow& row) {
           return row.state == 'S' && proc::waits_to_read(row.who.pid, config_.fifo);
         });
}

Verdict StandstillWatch::look(const BuildView& view) {
  const Instant now = view.now;
  Verdict verdict;
  // Where no process can be seen, everybody would look dead or idle.
  if (!proc::ProcessFiles::are_readable()) {
    due_ = now + kBlindPause;
    return verdict;
  }
  Figures figures{view.out, view.exhausted};
  if (!view.tracked) {
    // More lies there than was issued: somebody has returned what was taken for lost.
    verdict.unmint = std::clamp(-view.out, 0, view.pool->minted());
    figures.out += verdict.unmint;
  }
  const int unseen = view.tracked ? 0 : figures.out;
  const bool strolls = !config_.left && stroll_ <= now;
  const bool looks = lacks_slots(view, figures) || LimitWatch::has_to_look(view) || strolls;
  const Instant pause = view.tracked ? still_.pause() : std::min(still_.pause(), kUnseenPause);
  due_ = now + pause;
  if (unseen <= 0 && !(looks && config_.patience.count() > 0)) {
    (void)lost_.look(0, 0, now);
    (void)still_.look(control::Movement::some, now);
    limits_.forget();
    return verdict;
  }
  const proc::CensusSample census = rates_.look(view.walk());
  if (!view.tracked) {
    mint(view, lost_.look(unseen, most_held(family_of(view, census)), now), &verdict);
    figures.out -= verdict.mint;
    figures.exhausted = figures.exhausted && verdict.mint == 0;
  }
  const Instant cost_pause = kRescueCostShare * census.cost;
  due_ = now + std::max(lost_.is_suspicious() ? kSuspiciousPause : pause, cost_pause);
  if (config_.patience.count() == 0) return verdict;
  const control::Movement movement = movement_of(census);
  const bool lacks = lacks_slots(view, figures) || (movement == control::Movement::none &&
                                                    is_asked_unseen(view, figures, census));
  look_for_slots(view, census, lacks, movement, figures, &verdict);
  look_at_limits(view, census, &verdict);
  look_for_halted(view, census, lacks, movement, &verdict);
  // Who moves is left alone for a while.
  stroll_ = movement == control::Movement::some
                ? now + std::max<Instant>(config_.patience, cost_pause)
                : now;
  return verdict;
}

void StandstillWatch::look_for_slots(const BuildView& view, const proc::CensusSample& census,
                                     bool lacks, control::Movement movement, const Figures& figures,
                                     Verdict* verdict) {
  if (!still_.look(lacks ? movement : control::Movement::some, view.now)) return;
  name_stuck(view, census, figures.out, verdict);
  verdict->known = view.tracked && (view.pool->issued() > 0 || view.frozen > 0);
  // Without a tracker nobody knows how many are free.
  const int free = view.tracked ? view.pool->free() : core::kMaxSlots;
  mint(view, std::max(1, control::slots_lacking(*view.leases, free)), verdict);
}

void StandstillWatch::look_for_halted(const BuildView& view, const proc::CensusSample& census,
                                      bool lacks, control::Movement movement, Verdict* verdict) {
  const bool on_purpose = lacks || view.frozen > 0 || view.leases->paused();
  if (!idle_.look(on_purpose ? control::Movement::some : movement, view.now)) return;
  std::vector<board::StuckRow> rows = stuck_rows(CensusTree(census.rows), {}, 0);
  std::erase_if(rows, [this](const board::StuckRow& row) {
    return limits_.names_soon(row.halted) || is_under_job_control(row.halted);
  });
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i].too = i > 0;
    verdict->stuck.push_back(rows[i]);
  }
}

void StandstillWatch::look_at_limits(const BuildView& view, const proc::CensusSample& census,
                                     Verdict* verdict) {
  // Who is made to stand still, or is stopped with the whole build, goes on some time.
  if (is_stopped(census) || view.frozen > 0) return limits_.forget();
  const auto rows = limits_.look(view, census, CensusTree(census.rows));
  verdict->stuck.insert(verdict->stuck.end(), rows.begin(), rows.end());
}

bool StandstillWatch::is_forgotten(const proc::CensusRow& row, Instant now) {
  return row.state == 'Z' && now - zombies_.try_emplace(row.who, now).first->second >= kZombiePause;
}

bool StandstillWatch::is_client(const BuildView& view, const proc::CensusRow& row) const {
  const core::Account* account = view.pool->ledger().find(row.who);
  if (account != nullptr && (account->client || account->held() > 0)) return true;
  return dialect::takes_its_own(row.name) ||
         proc::uses_file(row.who.pid, config_.fifo, config_.ends);
}

std::vector<control::FamilyMember> StandstillWatch::family_of(const BuildView& view,
                                                              const proc::CensusSample& census) {
  const CensusTree tree(census.rows);
  std::erase_if(zombies_,
                [&tree](const auto& zombie) { return tree.find(zombie.first) == nullptr; });
  const pid_t session = session_of(view.root);
  std::vector<control::FamilyMember> family;
  std::vector<core::ProcessId> daemons;
  for (const proc::CensusRow& row : census.rows) {
    if (row.who.pid == view.root || is_forgotten(row, view.now)) continue;
    control::FamilyMember member{row.who.pid, row.parent};
    if (works_in_threads(row.name)) member.workers = std::max(0, row.threads - 1);
    if (hoards(row)) member.workers = core::kMaxSlots;
    member.daemon =
        row.parent == view.root && row.state != 'Z' && session_of(row.who.pid) != session;
    if (member.daemon) daemons.push_back(row.who);
    family.push_back(member);
  }
  // Few builds have daemons, and this costs a look at all descriptors of a process.
  std::unordered_set<pid_t> clients;
  for (const core::ProcessId daemon : daemons) {
    for (const proc::CensusRow& row : tree.family_of(daemon)) {
      if (is_client(view, row)) clients.insert(row.who.pid);
    }
  }
  for (control::FamilyMember& member : family) member.client = clients.contains(member.pid);
  return family;
}

control::Movement StandstillWatch::movement_of(const proc::CensusSample& census) {
  const control::Movement movement = movement_.look(census, census.rows);
  return is_stopped(census) ? control::Movement::some : movement;
}

}  // namespace tokenpool::watch
