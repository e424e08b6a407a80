#include <algorithm>
#include <charconv>
#include <chrono>
#include <string_view>
#include <utility>

#include "proc/build_load.h"

namespace tokenpool::proc {
namespace {

/// The number behind the first `key`.
std::optional<std::uint64_t> number_behind(std::string_view all, std::string_view key) {
  const std::size_t at = all.find(key);
  if (at == std::string_view::npos) return std::nullopt;
  std::uint64_t number = 0;
  const char* begin = all.data() + at + key.size();
  if (std::from_chars(begin, all.data() + all.size(), number).ec != std::errc{}) {
    return std::nullopt;
  }
  return number;
}

/// "0.20 0.18 0.12 1/80 11206": the one before the slash runs or could; it counts this thread too.
std::optional<int> runnable_besides_us(std::string_view line) {
  const std::size_t slash = line.find('/');
  const std::size_t blank = line.rfind(' ', slash);
  if (slash == std::string_view::npos || blank == std::string_view::npos) return std::nullopt;
  int running = 0;
  (void)std::from_chars(line.data() + blank + 1, line.data() + slash, running);
  // We run: whoever says that nobody does (some sandboxes) does not know.
  if (running < 1) return std::nullopt;
  return running - 1;
}

std::optional<double> rate(std::optional<std::uint64_t> from, std::optional<std::uint64_t> to,
                           double seconds) {
  if (!from || !to || *to < *from || seconds <= 0) return std::nullopt;
  return static_cast<double>(*to - *from) / 1e6 / seconds;
}

/// CPUs. Who is runnable while so much of them is idle runs, but for moments.
constexpr double kIdleEnough = 0.25;

KeptFile open_in(const std::string& folder, const char* name) {
  return folder.empty() ? KeptFile() : KeptFile(folder + name);
}

}  // namespace

BuildLoad::BuildLoad(const std::string& group, const std::string& root)
    : loadavg_(root + "/proc/loadavg"),
      usage_(group),
      cpu_pressure_(open_in(group, "/cpu.pressure")) {
  // Some kernels have the file and refuse to read it: openSUSE, EOPNOTSUPP (facts/scheduling.md
  // 0.2).
  if (!group.empty() && cpu_pressure_.read().empty()) machine_.emplace(root, allowed_cpus(), "");
}

std::optional<double> BuildLoad::waiting(double seconds, core::Instant now) {
  const auto waited = number_behind(cpu_pressure_.read(), "total=");  // of the first line, "some"
  const auto share = rate(std::exchange(waited_us_, waited), waited, seconds);
  if (share || !machine_) return share;
  const auto load = machine_->read(now);
  if (load && load->capacity - load->use >= kIdleEnough) return 0;
  return std::nullopt;
}

control::LoadSigns BuildLoad::glance(core::Instant now) {
  control::LoadSigns signs;
  const double seconds = before_ ? std::chrono::duration<double>(now - *before_).count() : 0;
  before_ = now;
  const auto used = usage_.seconds();
  const auto used_before = std::exchange(used_, used);
  if (used && used_before && seconds > 0) signs.use = std::max(0.0, *used - *used_before) / seconds;
  signs.waiting = waiting(seconds, now);
  if (const auto runnable = runnable_besides_us(loadavg_.read())) signs.runnable = *runnable;
  return signs;
}

}  // namespace tokenpool::proc
