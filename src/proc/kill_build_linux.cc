#include <algorithm>
#include <unordered_set>
#include <utility>

#include <signal.h>
#include <unistd.h>

#include "proc/kill_build.h"
#include "proc/signal.h"

namespace tokenpool::proc {
namespace {

// Rounds that must find nobody before a build without a listener counts as gone: a process that
// forks while /proc is read can hide from one round, not from the next ones.
constexpr int kCleanRounds = 3;
constexpr int kMaxRounds = 3000;

bool inherited_fifo(pid_t pid, const BuildMarks& marks) {
  return descriptor_is(pid, marks.read_end, marks.fifo) ||
         descriptor_is(pid, marks.write_end, marks.fifo);
}

bool carries_mark(pid_t pid, const BuildMarks& marks) {
  return marks.mark != 0 && has_build_mark(pid, marks.mark);
}

// Far quicker than a look at all that can tell: one that forks all the time is gone by the end of
// that, and its child is not on the list.
void kill_carriers(const BuildMarks& marks) {
  if (marks.mark == 0) return;
  for (const pid_t pid : all_processes()) {
    if (pid == ::getpid() || !carries_mark(pid, marks)) continue;
    (void)send_signal_if(pid, SIGKILL, [&] { return carries_mark(pid, marks); });
  }
}

bool is_marked(const ProcessInfo& process, const BuildMarks& marks) {
  return carries_mark(process.id.pid, marks) || inherited_fifo(process.id.pid, marks) ||
         environment_has(process.id.pid, marks.assignment);
}

// The marked ones and all that descend from them or from those of the round before, whose children
// are orphans by now.
std::vector<core::ProcessId> find_build(const BuildMarks& marks,
                                        std::unordered_set<pid_t>* family) {
  std::vector<ProcessInfo> others;
  std::unordered_set<pid_t> found;
  std::vector<core::ProcessId> victims;
  for (const pid_t pid : all_processes()) {
    if (pid == ::getpid()) continue;
    const auto info = read_process(pid);
    if (!info || info->state == 'Z' || info->state == 'X') continue;
    if (is_marked(*info, marks)) {
      found.insert(pid);
      victims.push_back(info->id);
    } else {
      others.push_back(*info);
    }
  }
  const auto descends = [&](const ProcessInfo& process) {
    return found.contains(process.parent) || family->contains(process.parent);
  };
  for (std::size_t before = 0; before != others.size();) {
    before = others.size();
    std::erase_if(others, [&](const ProcessInfo& process) {
      if (!descends(process)) return false;
      found.insert(process.id.pid);
      victims.push_back(process.id);
      return true;
    });
  }
  *family = std::move(found);
  return victims;
}

}  // namespace

void kill_build(const BuildGroup& group, const BuildMarks& marks,
                const std::function<bool()>& nobody_left, const std::function<void(int)>& pause) {
  std::unordered_set<pid_t> family;
  int clean = 0;
  for (int round = 0; round < kMaxRounds && clean < kCleanRounds && !nobody_left(); ++round) {
    (void)group.kill();
    kill_carriers(marks);
    const auto victims = find_build(marks, &family);
    for (const core::ProcessId who : victims) (void)send_signal(who, SIGKILL);
    clean = victims.empty() && !group.is_populated() ? clean + 1 : 0;
    pause(victims.empty() ? 1 : 5);
  }
}

void kill_descendants(const std::vector<pid_t>& exempt, const std::function<void()>& reap) {
  for (int round = 0; round < kMaxRounds; ++round) {
    bool found = false;
    for (const auto& child : children_of(::getpid())) {
      if (std::ranges::find(exempt, child.id.pid) != exempt.end()) continue;
      found = true;
      for (const auto& descendant : descendants_of(child.id.pid)) {
        (void)send_signal(descendant.id, SIGKILL);
      }
      (void)send_signal(child.id, SIGKILL);
    }
    reap();
    if (!found) return;
    ::usleep(1000);
  }
}

}  // namespace tokenpool::proc
