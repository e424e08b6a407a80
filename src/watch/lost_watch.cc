#include "watch/lost_watch.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <string_view>
#include <unordered_set>

#include "core/limits.h"
#include "dialect/tool.h"
#include "proc/process_files.h"
#include "watch/census_tree.h"
#include "watch/limits.h"

namespace tokenpool::watch {
namespace {

using core::Instant;
using std::chrono::milliseconds;

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

}  // namespace

LostWatch::LostWatch(const proc::FileId& fifo, const std::array<int, 2>& ends, Instant now)
    : fifo_(fifo), ends_(ends), due_(now + kUnseenPause) {}

Verdict LostWatch::look(const BuildView& view) {
  Verdict verdict;
  // Where no process can be seen, everybody would look dead.
  if (!proc::ProcessFiles::are_readable()) {
    due_ = view.now + kBlindPause;
    return verdict;
  }
  due_ = view.now + kUnseenPause;
  if (view.out <= 0) {
    // More lies there than was issued: somebody has returned what was taken for lost.
    verdict.unmint = std::min(-view.out, view.pool->minted());
    (void)lost_.look(0, 0, view.now);
    return verdict;
  }
  const int lost = lost_.look(view.out, most_held(family_of(view)), view.now);
  verdict.mint = std::min(lost, core::kMaxSlots - view.pool->minted());
  const Instant pause = lost_.is_suspicious() ? kSuspiciousPause : kUnseenPause;
  due_ = view.now + std::max<Instant>(pause, kRescueCostShare * view.walk().cost);
  return verdict;
}

bool LostWatch::is_forgotten(const proc::CensusRow& row, Instant now) {
  return row.state == 'Z' && now - zombies_.try_emplace(row.who, now).first->second >= kZombiePause;
}

bool LostWatch::is_client(const BuildView& view, const proc::CensusRow& row) const {
  const core::Account* account = view.pool->ledger().find(row.who);
  if (account != nullptr && (account->client || account->held() > 0)) return true;
  return dialect::takes_its_own(row.name) || proc::uses_file(row.who.pid, fifo_, ends_);
}

std::vector<control::FamilyMember> LostWatch::family_of(const BuildView& view) {
  const proc::CensusSample& census = view.walk();
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

}  // namespace tokenpool::watch
