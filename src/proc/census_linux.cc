#include <algorithm>
#include <cmath>
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

// A process of the build, as it was at the last walk.
struct Member {
  core::ProcessId id;
  pid_t parent = 0;
  std::uint64_t ticks = 0;
  std::uint64_t reaped_ticks = 0;
  std::optional<std::uint64_t> waited;
  bool read = false;  // in this walk

  [[nodiscard]] std::uint64_t total() const { return ticks + reaped_ticks; }
};

std::uint64_t less(std::uint64_t a, std::uint64_t b) { return a > b ? a - b : 0; }

}  // namespace

struct Census::State {
  State(pid_t root_pid, pid_t exempt_pid)
      : root(root_pid), exempt(exempt_pid), files(kMaxCensusFiles) {}

  void read_all();
  void sort_out();
  Family family_of(pid_t pid);
  void note_the_dead();
  CensusRow row(const Reading& reading, double seconds);
  double delay(const Reading& reading, const Member* before, Member* member, double seconds);

  pid_t root;
  pid_t exempt;
  ProcessFiles files;
  std::unordered_map<pid_t, Reading> readings;         // of this walk
  std::unordered_map<pid_t, Member> members;           // since the last one
  std::unordered_map<pid_t, std::uint64_t> strangers;  // by inode
  std::unordered_map<pid_t, std::uint64_t> counted;    // of what a parent will have reaped
  std::optional<core::Instant> before;
  double ticks_a_second = static_cast<double>(::sysconf(_SC_CLK_TCK));
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

// Its parent, or whoever waited for its parent, has reaped what was counted for it while it lived.
void Census::State::note_the_dead() {
  counted.clear();
  const auto lives = [this](const Member& member) {
    const auto found = readings.find(member.id.pid);
    return found != readings.end() && found->second.stat.id == member.id;
  };
  for (const auto& [pid, member] : members) {
    if (lives(member)) continue;
    files.close(pid);
    pid_t heir = member.parent;
    for (auto at = members.find(heir); at != members.end() && !lives(at->second);
         at = members.find(heir)) {
      if (heir == at->second.parent || heir == root) break;
      heir = at->second.parent;
    }
    counted[heir] += member.total();
  }
}

double Census::State::delay(const Reading& reading, const Member* before_it, Member* member,
                            double seconds) {
  const ProcessStat& stat = reading.stat;
  if (before_it != nullptr) member->waited = before_it->waited;
  const bool ran = before_it == nullptr ? stat.ticks > 0 : stat.ticks != before_it->ticks;
  if ((!ran && stat.state != 'R') || threads_left <= 0) return 0;
  const int most = std::min(threads_left, kMaxCensusThreads);
  threads_left -= std::min(stat.threads, most);
  const auto waited = files.waited_ns(stat.id.pid, stat.threads, most);
  if (!waited) return 0;
  member->waited = waited;
  // Since when is not known at the first walk, and of one that has slept until now.
  if (seconds <= 0 || (before_it != nullptr && !before_it->waited)) return 0;
  const std::uint64_t since = before_it == nullptr ? 0 : *before_it->waited;
  const double cpus = static_cast<double>(less(*waited, since)) / 1e9 / seconds;
  return std::min(cpus, static_cast<double>(std::max(stat.threads, 1)));
}

CensusRow Census::State::row(const Reading& reading, double seconds) {
  const ProcessStat& stat = reading.stat;
  const auto known = members.find(stat.id.pid);
  const Member* before_it =
      known != members.end() && known->second.id == stat.id ? &known->second : nullptr;
  Member member{stat.id, stat.parent, stat.ticks, stat.reaped_ticks, std::nullopt, true};
  CensusRow row{stat.id,    stat.parent,  stat.name,
                stat.state, stat.threads, stat.resident_pages * page};
  row.used = static_cast<double>(member.total()) / ticks_a_second;
  if (seconds > 0) {
    const std::uint64_t own = before_it == nullptr ? 0 : before_it->ticks;
    const std::uint64_t reaped = before_it == nullptr ? 0 : before_it->reaped_ticks;
    const auto dead = counted.find(stat.id.pid);
    const std::uint64_t already = dead == counted.end() ? 0 : dead->second;
    const double per = 1 / (ticks_a_second * seconds);
    row.use = static_cast<double>(less(stat.ticks, own)) * per;
    row.reaped = static_cast<double>(less(less(stat.reaped_ticks, reaped), already)) * per;
  }
  row.delay = delay(reading, before_it, &member, seconds);
  members[stat.id.pid] = member;
  return row;
}

double CensusRow::wanted() const {
  // As many threads as it takes to have run and waited for so long, all alike. The clocks of the
  // two do not agree to the last tick.
  constexpr double kInexact = 0.25;
  const double running =
      std::clamp(std::ceil(use + delay - kInexact), 1.0, std::max(threads, 1) * 1.0);
  const double free = 1 - delay / running;  // of the time, for each
  return free > 0 ? std::min({use + delay, running, use / free}) : use + delay;
}

CensusSample Census::sample(core::Instant now) {
  State& state = *state_;
  const nanoseconds begin = thread_time();
  CensusSample sample;
  if (!ProcessFiles::are_readable()) return sample;
  if (state.before) sample.interval = now - *state.before;
  const double seconds = std::chrono::duration<double>(sample.interval).count();
  state.before = now;
  state.threads_left = kMaxCensusThreadsOfWalk;
  state.read_all();
  state.sort_out();
  state.note_the_dead();
  for (const auto& [pid, reading] : state.readings) {
    if (pid != state.root && reading.family != Family::inside) continue;
    sample.rows.push_back(state.row(reading, seconds));
    if (pid == state.root) std::swap(sample.rows.front(), sample.rows.back());
  }
  for (auto it = state.members.begin(); it != state.members.end();) {
    it = std::exchange(it->second.read, false) ? std::next(it) : state.members.erase(it);
  }
  sample.cost = thread_time() - begin;
  return sample;
}

void Census::forget() {
  state_->before.reset();
  for (const auto& [pid, member] : state_->members) state_->files.close(pid);
  state_->members.clear();
  state_->strangers.clear();
}

std::size_t Census::open_files() const { return state_->files.open_count(); }

}  // namespace tokenpool::proc
