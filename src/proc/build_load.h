// What costs next to nothing to read about the CPUs that a build wants: three files that stay open,
// some 5 us together, whatever the number of its processes. Enough to tell that there is no reason
// to look at each of them (proc/census.h).
//
// Sources: proc(5) for loadavg; the kernel's Documentation/admin-guide/cgroup-v2 for cpu.stat,
// which needs no controller, and cpu.pressure (Linux 5.2, where PSI is on).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/census_pace.h"
#include "core/effect.h"
#include "proc/kept_file.h"

namespace tokenpool::proc {

/// One thread. Neither copies nor moves.
class BuildLoad {
 public:
  /// `group`: the folder of the build's own control group; empty: it has none.
  explicit BuildLoad(const std::string& group);
  BuildLoad(const BuildLoad&) = delete;
  BuildLoad& operator=(const BuildLoad&) = delete;

  /// Use and waiting since the call before; the first one tells neither. What cannot be read is
  /// left out.
  core::LoadSigns glance(core::Instant now);

 private:
  KeptFile loadavg_;
  KeptFile cpu_stat_;
  KeptFile cpu_pressure_;
  std::optional<core::Instant> before_;
  std::optional<std::uint64_t> used_us_;
  std::optional<std::uint64_t> waited_us_;
};

}  // namespace tokenpool::proc
