#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proc/peer.h"
#include "proc/process.h"

namespace tokenpool::proc {
namespace {

std::optional<core::ProcessId> living(pid_t pid, std::uint64_t start) {
  const auto info = pid > 0 ? read_process(pid) : std::nullopt;
  if (!info || is_ended(info->state) || (start != 0 && info->id.start != start)) {
    return std::nullopt;
  }
  return info->id;
}

std::string pid_namespace_of(const std::string& process) {
  std::array<char, 64> target{};
  const std::string path = "/proc/" + process + "/ns/pid";
  const ssize_t n = ::readlink(path.c_str(), target.data(), target.size());
  return n > 0 ? std::string(target.data(), static_cast<std::size_t>(n)) : std::string();
}

// The number of `pid` in the innermost namespace that it is in: the last one of its NSpid line.
pid_t innermost_pid(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("NSpid:")) continue;
    return static_cast<pid_t>(std::atoi(line.c_str() + line.find_last_of("\t ") + 1));
  }
  return 0;
}

}  // namespace

std::optional<SocketPeer> peer_of(int socket) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0 ||
      credentials.uid == static_cast<uid_t>(-1)) {
    return std::nullopt;
  }
  return SocketPeer{credentials.uid, living(credentials.pid, 0)};
}

std::optional<core::ProcessId> find_as_seen_by(core::ProcessId viewer, pid_t pid,
                                               std::uint64_t start) {
  const std::string theirs = pid_namespace_of(std::to_string(viewer.pid));
  if (theirs.empty() || theirs == pid_namespace_of("self")) return living(pid, start);
  if (innermost_pid(viewer.pid) == pid) return living(viewer.pid, start);
  for (const auto& process : descendants_of(viewer.pid)) {
    if (innermost_pid(process.id.pid) == pid) return living(process.id.pid, start);
  }
  return std::nullopt;
}

std::optional<core::ProcessId> find_by_start(pid_t pid, std::uint64_t start, uid_t user) {
  struct stat status{};
  const std::string folder = "/proc/" + std::to_string(pid);
  if (start == 0 || ::stat(folder.c_str(), &status) != 0 || status.st_uid != user) {
    return std::nullopt;
  }
  return living(pid, start);
}

}  // namespace tokenpool::proc
