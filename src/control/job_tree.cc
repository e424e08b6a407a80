#include "control/job_tree.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <unordered_map>

namespace tokenpool::control {
namespace {

constexpr std::string_view kCoordinators[] = {
    "make",  "gmake", "ninja", "ninja-build", "samu",  "cargo",    "ctest", "cmake",     "scons",
    "meson", "dune",  "bazel", "buck2",       "cabal", "stack",    "go",    "gradle",    "mvn",
    "xargs", "waf",   "b2",    "bjam",        "tup",   "parallel", "jam",   "xcodebuild"};

// They may start something at any moment.
constexpr std::string_view kShells[] = {"sh",  "bash", "dash",    "zsh",  "ksh", "mksh",
                                        "ash", "fish", "busybox", "tcsh", "csh"};

// One holds a lock while its child runs, the others stop with it.
constexpr std::string_view kWatchers[] = {"flock", "sudo", "su", "doas", "strace", "gdb", "rr"};

constexpr std::string_view kLasting[] = {
    // Launchers, caches, and what serves others.
    "ccache", "sccache", "distcc", "icecc", "env", "time", "nice", "timeout", "nohup", "setsid",
    "ssh", "git",
    // Interpreters.
    "perl", "ruby", "node", "java", "lua", "tclsh", "guile", "php"};

// Of which there are versions: python3.11.
constexpr std::string_view kLastingBeginnings[] = {"python", "tokenpool", "pypy"};

template <typename Names>
bool is_among(const Names& names, std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

bool coordinates(const TreeProcess& process) {
  return process.coordinates || is_among(kCoordinators, process.name);
}

bool is_lasting(const TreeProcess& process) {
  if (coordinates(process) || is_shell(process.name)) return true;
  if (is_among(kLasting, process.name)) return true;
  return std::any_of(
      std::begin(kLastingBeginnings), std::end(kLastingBeginnings),
      [&](std::string_view beginning) { return process.name.starts_with(beginning); });
}

bool is_older(core::ProcessId a, core::ProcessId b) {
  return a.start != b.start ? a.start < b.start : a.pid < b.pid;
}

using Index = std::unordered_map<std::int32_t, const TreeProcess*>;

const TreeProcess* find(const Index& index, std::int32_t pid) {
  const auto found = index.find(pid);
  return found == index.end() ? nullptr : found->second;
}

/// How a leaf hangs in the tree.
struct Place {
  const TreeProcess* root = nullptr;         ///< of its job; null: it belongs to none
  const TreeProcess* coordinator = nullptr;  ///< null: the front is
  bool is_watched = false;                   ///< by a process above that must not see it stop
};

// Its way up, as far as the command. A tree that was read while it changed may have a circle.
Place place_of(const TreeProcess& leaf, const TreeProcess& command, std::int32_t front,
               const Index& index) {
  Place place;
  const TreeProcess* at = &leaf;
  for (std::size_t steps = 0; at != nullptr && steps <= index.size(); ++steps) {
    if (at->uncooperative) return {};
    const TreeProcess* parent = at->parent == front ? nullptr : find(index, at->parent);
    if (is_among(kWatchers, at->name)) place.is_watched = true;
    // A shell with job control would take the terminal back from it.
    if (parent != nullptr && is_shell(parent->name) && parent->group != at->group)
      place.is_watched = true;
    if (place.root == nullptr && (parent == nullptr || coordinates(*parent))) {
      place.root = at;
      place.coordinator = parent;
    }
    if (at == &command) return place;
    at = parent;
  }
  return {};
}

}  // namespace

bool is_shell(std::string_view name) { return is_among(kShells, name); }

std::vector<TreeJob> jobs_of(const std::vector<TreeProcess>& processes, std::int32_t front) {
  Index index;
  std::unordered_map<std::int32_t, int> children;
  const TreeProcess* command = nullptr;
  for (const TreeProcess& process : processes) {
    if (process.who.pid == front) continue;
    index[process.who.pid] = &process;
    ++children[process.parent];
    if (process.parent != front) continue;
    if (command == nullptr || is_older(process.who, command->who)) command = &process;
  }
  if (command == nullptr) return {};
  std::vector<TreeJob> jobs;
  for (const TreeProcess& process : processes) {
    if (process.who.pid == front || children.contains(process.who.pid)) continue;
    const Place place = place_of(process, *command, front, index);
    const TreeProcess* above = place.coordinator;
    if (place.root == nullptr || process.waits) continue;
    if (above != nullptr && above->waits && above->slots == 0) continue;
    auto job = std::find_if(jobs.begin(), jobs.end(),
                            [&](const TreeJob& one) { return one.root == place.root->who; });
    if (job == jobs.end()) {
      jobs.push_back({.root = place.root->who,
                      .leaves = {},
                      .slots = above == nullptr ? 1 : std::max(1, above->slots),
                      .freezable = true,
                      .coordinator_stopped = above != nullptr && above->stopped});
      job = std::prev(jobs.end());
    }
    job->leaves.push_back(process.who);
    job->stopped = job->stopped || process.stopped;
    if (is_lasting(process) || place.is_watched || &process == command) job->freezable = false;
  }
  std::sort(jobs.begin(), jobs.end(),
            [](const TreeJob& a, const TreeJob& b) { return is_older(a.root, b.root); });
  return jobs;
}

}  // namespace tokenpool::control
