#include <algorithm>
#include <ctime>
#include <iterator>
#include <optional>
#include <unordered_map>
#include <utility>

#include <unistd.h>

#include "proc/census.h"
#include "proc/limits.h"
#include "proc/process_files.h"

namespace tokenpool::proc {
namespace {

using std::chrono::nanoseconds;

nanoseconds thread_time() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + nanoseconds(time.tv_nsec);
}

enum class Family : std::uint8_t {
  unknown,   // some ancestor was gone when it was looked for
  inside,    // of the build
  stranger,  // all its ancestors are known, and the root is none of them
};

struct Reading {
  ProcessStat stat;
  std::uint64_t inode = 0;
  Family family = Family::unknown;
  bool visited = false;
};

// What is known of a process of the build from the walks before.
struct Member {
  core::ProcessId id;
  std::uint64_t ticks = 0;
  std::optional<std::uint64_t> waited_ns;
  bool read = false;  // in this walk
};

double seconds_of(std::uint64_t ticks) {
  static const auto a_second = static_cast<double>(::sysconf(_SC_CLK_TCK));
  return static_cast<double>(ticks) / a_second;
}

}  // namespace

struct Census::State {
  State(pid_t root_pid, pid_t exempt_pid)
      : root(root_pid), exempt(exempt_pid), files(kMaxCensusFiles) {}

  void read_all();
  void sort_out();
  Family family_of(pid_t pid);
  void close_the_dead();
  CensusRow row(const Reading& reading);
  std::optional<std::uint64_t> waited_ns(const ProcessStat& stat, const Member* before);

  pid_t root;
  pid_t exempt;
  ProcessFiles files;
  std::unordered_map<pid_t, Reading> readings;         // of this walk
  std::unordered_map<pid_t, Member> members;           // since the last one
  std::unordered_map<pid_t, std::uint64_t> strangers;  // by inode
  std::uint64_t page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  int threads_left = 0;
};

Census::Census(pid_t root, pid_t exempt) : state_(std::make_unique<State>(root, exempt)) {}
Census::~Census() = default;

void Census::State::read_all() {
  readings.clear();
  std::unordered_map<pid_t, std::uint64_t> still_strangers;
  for (const auto& [pid, inode] : files.list()) {
    const auto stranger = strangers.find(pid);
    if (stranger != strangers.end() && stranger->second == inode) {
      still_strangers.insert(*stranger);
      continue;
    }
    if (auto stat = files.read(pid, members.contains(pid))) {
      readings.emplace(pid, Reading{std::move(*stat), inode});
    }
  }
  strangers = std::move(still_strangers);
}

// The answer is written to every process on the way up.
Family Census::State::family_of(pid_t pid) {
  std::vector<Reading*> way;
  Family family = Family::unknown;
  std::uint64_t started = ~std::uint64_t{0};
  while (true) {
    if (pid == root) {
      family = Family::inside;
      break;
    }
    if (pid == exempt || pid == 0 || strangers.contains(pid)) {
      family = Family::stranger;
      break;
    }
    const auto found = readings.find(pid);
    // A parent that is younger than its child is the next owner of the parent's pid.
    if (found == readings.end() || found->second.stat.id.start > started) break;
    Reading& reading = found->second;
    if (reading.visited) {
      family = reading.family;
      break;
    }
    reading.visited = true;
    started = reading.stat.id.start;
    way.push_back(&reading);
    pid = reading.stat.parent;
  }
  for (Reading* reading : way) {
    // Whoever was of the build stays so while its parent's end is under way.
    const auto known = members.find(reading->stat.id.pid);
    const bool was_inside = known != members.end() && known->second.id == reading->stat.id;
    reading->family = family == Family::unknown && was_inside ? Family::inside : family;
  }
  return family;
}

void Census::State::sort_out() {
  for (auto& [pid, reading] : readings) {
    if (!reading.visited) (void)family_of(pid);
  }
  for (const auto& [pid, reading] : readings) {
    if (pid == root || pid == exempt) continue;
    if (reading.family == Family::stranger) {
      strangers[pid] = reading.inode;
      files.close(pid);
    }
  }
}

void Census::State::close_the_dead() {
  for (const auto& [pid, member] : members) {
    const auto found = readings.find(pid);
    if (found == readings.end() || found->second.stat.id != member.id) files.close(pid);
  }
}

// One that has not run since has not waited either.
std::optional<std::uint64_t> Census::State::waited_ns(const ProcessStat& stat,
                                                      const Member* before) {
  const auto known = before == nullptr ? std::nullopt : before->waited_ns;
  const bool ran = before == nullptr ? stat.ticks > 0 : stat.ticks != before->ticks;
  if ((!ran && stat.state != 'R') || threads_left <= 0) return known;
  const int most = std::min(threads_left, kMaxCensusThreads);
  threads_left -= std::min(stat.threads, most);
  const auto waited = files.waited_ns(stat.id.pid, stat.threads, most);
  return waited ? waited : known;
}

CensusRow Census::State::row(const Reading& reading) {
  const ProcessStat& stat = reading.stat;
  const auto known = members.find(stat.id.pid);
  const bool is_same = known != members.end() && known->second.id == stat.id;
  CensusRow row{.who = stat.id,
                .parent = stat.parent,
                .name = stat.name,
                .state = stat.state,
                .threads = stat.threads,
                .resident_bytes = stat.resident_pages * page,
                .use_seconds = seconds_of(stat.ticks),
                .reaped_seconds = seconds_of(stat.reaped_ticks)};
  const auto waited = waited_ns(stat, is_same ? &known->second : nullptr);
  if (waited) row.delay_seconds = static_cast<double>(*waited) / 1e9;
  members[stat.id.pid] = {stat.id, stat.ticks, waited, true};
  return row;
}

CensusSample Census::walk(core::Instant now) {
  State& state = *state_;
  const nanoseconds begin = thread_time();
  CensusSample walk{.at = now};
  if (!ProcessFiles::are_readable()) return walk;
  state.threads_left = kMaxCensusThreadsOfWalk;
  state.read_all();
  state.sort_out();
  state.close_the_dead();
  for (const auto& [pid, reading] : state.readings) {
    if (pid != state.root && reading.family != Family::inside) continue;
    walk.rows.push_back(state.row(reading));
    if (pid == state.root) std::swap(walk.rows.front(), walk.rows.back());
  }
  for (auto it = state.members.begin(); it != state.members.end();) {
    it = std::exchange(it->second.read, false) ? std::next(it) : state.members.erase(it);
  }
  walk.cost = thread_time() - begin;
  return walk;
}

void Census::forget() {
  for (const auto& [pid, member] : state_->members) state_->files.close(pid);
  state_->members.clear();
  state_->strangers.clear();
}

std::size_t Census::open_files() const { return state_->files.open_count(); }

}  // namespace tokenpool::proc
