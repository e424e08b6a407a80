#include <algorithm>
#include <charconv>
#include <chrono>
#include <string_view>
#include <utility>

#include <sched.h>
#include <unistd.h>

#include "proc/capacity.h"
#include "proc/cgroup_paths.h"
#include "proc/load_meter.h"

namespace tokenpool::proc {
namespace {

/// A hypervisor that took everything for a moment: there is always something to divide by.
constexpr double kLeastCapacity = 0.1;

constexpr double kMicro = 1e-6;
constexpr double kNano = 1e-9;

/// The next word of `line`, which it is cut off.
std::string_view take_word(std::string_view* line) {
  const std::size_t begin = std::min(line->find_first_not_of(' '), line->size());
  const std::size_t end = std::min(line->find(' ', begin), line->size());
  const std::string_view word = line->substr(begin, end - begin);
  line->remove_prefix(end);
  return word;
}

std::string_view take_line(std::string_view* text) {
  const std::size_t end = std::min(text->find('\n'), text->size());
  const std::string_view line = text->substr(0, end);
  text->remove_prefix(std::min(end + 1, text->size()));
  return line;
}

std::optional<double> number(std::string_view word) {
  double value = 0;
  const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (word.empty() || error != std::errc()) return std::nullopt;
  return value;
}

/// The number after `key` at the beginning of a line of `text`.
std::optional<double> value_of(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    std::string_view line = take_line(&text);
    if (take_word(&line) == key) return number(take_word(&line));
  }
  return std::nullopt;
}

/// N of a line that begins with cpuN.
std::optional<int> cpu_of(std::string_view word) {
  if (!word.starts_with("cpu") || word.size() == 3) return std::nullopt;
  int cpu = 0;
  const auto [stop, error] = std::from_chars(word.data() + 3, word.data() + word.size(), cpu);
  if (error != std::errc() || stop != word.data() + word.size()) return std::nullopt;
  return cpu;
}

/// Of PSI's "full avg10=0.00 avg60=0.00 avg300=0.00 total=29865363", in seconds.
std::optional<double> full_stall(std::string_view text) {
  constexpr std::string_view kTotal = "total=";
  while (!text.empty()) {
    std::string_view line = take_line(&text);
    if (take_word(&line) != "full") continue;
    const std::size_t at = line.find(kTotal);
    if (at == std::string_view::npos) return std::nullopt;
    const auto total = number(line.substr(at + kTotal.size()));
    return total ? std::optional(*total * kMicro) : std::nullopt;
  }
  return std::nullopt;
}

double scaled(std::optional<double> value, double unit) { return value.value_or(0) * unit; }

}  // namespace

LoadMeter::LoadMeter(const std::string& root, std::vector<int> cpus, const std::string& own)
    : cpus_(std::move(cpus)),
      tick_(1.0 / static_cast<double>(std::max(1L, ::sysconf(_SC_CLK_TCK)))),
      stat_(root + "/proc/stat"),
      schedstat_(root + "/proc/schedstat"),
      own_(own),
      disk_{own.empty() ? KeptFile() : KeptFile(own + "/io.pressure"),
            KeptFile(root + "/proc/pressure/io")} {
  add_groups(root);
}

void LoadMeter::add_groups(const std::string& root) {
  std::string usage_mount;
  for (const CgroupPath& path : cgroup_paths(root, "cpuacct")) {
    if (path.version == 1) usage_mount = path.mount;
  }
  for (const CgroupPath& path : cgroup_paths(root, "cpu")) {
    for (std::string folder = path.folder;; folder.resize(folder.rfind('/'))) {
      Group group;
      group.version = path.version;
      if (path.version == 2) {
        group.quota = KeptFile(root + folder + "/cpu.max");
      } else {
        const std::string below = folder.substr(path.mount.size());
        group.quota = KeptFile(root + folder + "/cpu.cfs_quota_us");
        group.period = KeptFile(root + folder + "/cpu.cfs_period_us");
        std::string usage = root + usage_mount;
        group.usage = KeptFile(usage.append(below).append("/cpuacct.usage"));
      }
      if (group.quota.is_open()) {
        group.stat = KeptFile(root + folder + "/cpu.stat");
        groups_.push_back(std::move(group));
      }
      if (folder.size() <= path.mount.size()) break;
    }
  }
}

bool LoadMeter::is_ours(int cpu) const {
  return std::binary_search(cpus_.begin(), cpus_.end(), cpu);
}

void LoadMeter::read_stat(Counters* counters) {
  for (std::string_view text = stat_.read(); !text.empty();) {
    std::string_view line = take_line(&text);
    const std::string_view key = take_word(&line);
    if (key == "procs_running") {
      counters->running = static_cast<int>(number(take_word(&line)).value_or(0));
      return;
    }
    const auto cpu = cpu_of(key);
    if (!cpu) continue;
    // user nice system idle iowait irq softirq steal; guests are in user and nice already.
    double busy = 0;
    double steal = 0;
    for (int i = 0; i < 8; ++i) {
      const double ticks = number(take_word(&line)).value_or(0);
      if (i == 7) {
        steal = ticks;
      } else if (i != 3 && i != 4) {
        busy += ticks;
      }
    }
    ++counters->online;
    counters->busy_all += busy * tick_;
    if (!is_ours(*cpu)) continue;
    ++counters->usable;
    counters->busy += busy * tick_;
    counters->steal += steal * tick_;
  }
}

void LoadMeter::read_schedstat(Counters* counters) {
  for (std::string_view text = schedstat_.read(); !text.empty();) {
    std::string_view line = take_line(&text);
    const auto cpu = cpu_of(take_word(&line));
    if (!cpu || !is_ours(*cpu)) continue;
    // The eighth number of each CPU: time spent waiting to run, in nanoseconds.
    for (int i = 0; i < 7; ++i) (void)take_word(&line);
    const auto delay = number(take_word(&line));
    if (delay) counters->delay = counters->delay.value_or(0) + *delay * kNano;
  }
}

LoadMeter::Used LoadMeter::read_group(Group* group) {
  Used used;
  std::string_view text = group->quota.read();
  std::string_view line = take_line(&text);
  const auto quota = number(take_word(&line));  // "max" is none, -1 too
  if (!quota || *quota <= 0) return used;
  auto period = number(take_word(&line));
  const std::string_view stat = group->stat.read();
  if (group->version == 2) {
    if (const auto usage = value_of(stat, "usage_usec")) used.usage = *usage * kMicro;
    used.throttled = scaled(value_of(stat, "throttled_usec"), kMicro);
  } else {
    used.throttled = scaled(value_of(stat, "throttled_time"), kNano);
    text = group->period.read();
    period = number(take_line(&text));
    text = group->usage.read();
    if (const auto usage = number(take_line(&text))) used.usage = *usage * kNano;
  }
  if (period && *period > 0) used.quota = *quota / *period;
  return used;
}

Load LoadMeter::between(const Counters& from, const Counters& to) const {
  const double seconds = std::chrono::duration<double>(to.at - from.at).count();
  const auto rate = [seconds](double before, double after) {
    return std::max(0.0, after - before) / seconds;
  };
  Load load;
  const double usable = std::max(1, to.usable);
  load.use = std::min(usable, rate(from.busy, to.busy));
  load.capacity = usable - rate(from.steal, to.steal);
  if (from.delay && to.delay) {
    load.delay = rate(*from.delay, *to.delay);
  } else if (to.online > 0) {
    // One of those that run is this thread.
    const double busy = std::min<double>(to.online, rate(from.busy_all, to.busy_all));
    load.delay = std::max(0.0, to.running - 1 - busy) * usable / to.online;
  }
  const double machine = load.delay;
  for (std::size_t i = 0; i < to.groups.size(); ++i) {
    const Used& used = to.groups[i];
    if (!used.quota) continue;
    const bool is_known = used.usage && from.groups[i].usage;
    const double use = is_known ? rate(*from.groups[i].usage, *used.usage) : load.use;
    if (*used.quota - use >= load.capacity - load.use) continue;
    load.use = use;
    load.capacity = *used.quota;
    load.delay = machine + rate(from.groups[i].throttled, used.throttled);
  }
  load.capacity = std::max(kLeastCapacity, load.capacity);
  if (from.own && to.own) load.own = rate(*from.own, *to.own);
  for (std::size_t i = 0; i < to.disk_stalls.size(); ++i) {
    if (!from.disk_stalls[i] || !to.disk_stalls[i]) continue;
    const double stall = std::min(1.0, rate(*from.disk_stalls[i], *to.disk_stalls[i]));
    load.disk_stall = std::max(load.disk_stall, stall);
  }
  return load;
}

std::optional<Load> LoadMeter::read(core::Instant now) {
  Counters counters;
  counters.at = now;
  read_stat(&counters);
  if (counters.online == 0) return std::nullopt;
  read_schedstat(&counters);
  counters.own = own_.seconds();
  for (std::size_t i = 0; i < disk_.size(); ++i) {
    counters.disk_stalls[i] = full_stall(disk_[i].read());
  }
  counters.groups.reserve(groups_.size());
  for (Group& group : groups_) counters.groups.push_back(read_group(&group));
  const auto before = std::exchange(last_, counters);
  if (!before || before->at >= now) return std::nullopt;
  return between(*before, *last_);
}

std::vector<int> allowed_cpus() {
  std::vector<int> cpus;
  cpu_set_t* const set = CPU_ALLOC(kMaxCpus);
  if (set == nullptr) return {0};
  const std::size_t size = CPU_ALLOC_SIZE(kMaxCpus);
  CPU_ZERO_S(size, set);
  if (sched_getaffinity(0, size, set) == 0) {
    for (int cpu = 0; cpu < kMaxCpus; ++cpu) {
      if (CPU_ISSET_S(static_cast<std::size_t>(cpu), size, set)) cpus.push_back(cpu);
    }
  }
  CPU_FREE(set);
  if (cpus.empty()) cpus.push_back(0);
  return cpus;
}

}  // namespace tokenpool::proc
