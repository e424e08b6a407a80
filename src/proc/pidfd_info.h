// PIDFD_GET_INFO (Linux 6.15, <linux/pidfd.h>), which the headers of the oldest system that we
// build on lack. The layout is fixed: PIDFD_INFO_SIZE_VER0 is 64.
#pragma once

#include <array>
#include <cstdint>

#include <sys/ioctl.h>

namespace tokenpool::proc {

struct PidfdInfo {
  std::uint64_t mask;
  std::uint64_t cgroup_id;
  std::array<std::uint32_t, 11> ids;  // pid, tgid, ppid and eight of credentials
  std::int32_t exit_code;
};
static_assert(sizeof(PidfdInfo) == 64);
inline constexpr std::uint64_t kPidfdInfoExit = 1U << 3;
inline constexpr std::uint64_t kPidfdInfoCoreDump = 1U << 4;  ///< Linux 6.16
inline constexpr unsigned long kPidfdGetInfo = _IOWR(0xFF, 11, PidfdInfo);

}  // namespace tokenpool::proc
