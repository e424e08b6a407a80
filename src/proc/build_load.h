// What costs next to nothing to read about the CPUs that a build wants: a few files that stay open,
// some 5 us together, whatever the number of its processes. Enough to tell that there is no reason
// to look at each of them (proc/census.h).
//
// Sources: proc(5) for loadavg; the kernel's Documentation/admin-guide/cgroup-v2 for cpu.pressure
// (Linux 5.2, version 2, where PSI is on). Without it, whether there are idle CPUs tells whether
// somebody waits for one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "control/census_pace.h"
#include "core/effect.h"
#include "proc/group_usage.h"
#include "proc/kept_file.h"
#include "proc/load_meter.h"

namespace tokenpool::proc {

/// One thread. Neither copies nor moves.
class BuildLoad {
 public:
  /// `group`: the folder of the build's own control group; empty: it has none. `root` is put before
  /// /proc, for tests.
  explicit BuildLoad(const std::string& group, const std::string& root = "");
  BuildLoad(const BuildLoad&) = delete;
  BuildLoad& operator=(const BuildLoad&) = delete;

  /// Use and waiting since the call before; the first one tells neither. What cannot be read is
  /// left out.
  control::LoadSigns glance(core::Instant now);

 private:
  std::optional<double> waiting(double seconds, core::Instant now);

  KeptFile loadavg_;
  GroupUsage usage_;
  KeptFile cpu_pressure_;
  std::optional<core::Instant> before_;
  std::optional<double> used_;
  std::optional<LoadMeter> machine_;  ///< in place of cpu.pressure
  std::optional<std::uint64_t> waited_us_;
};

}  // namespace tokenpool::proc
