#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>
#include <string>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proc/passed_sockets.h"

namespace tokenpool::proc {
namespace {

constexpr int kFirst = 3;  // SD_LISTEN_FDS_START
constexpr int kMost = 16;

std::string host_of(int family, const void* binary) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const char* host = ::inet_ntop(family, binary, text.data(), text.size());
  return host == nullptr ? std::string() : host;
}

std::optional<wire::Address> address_of(int fd) {
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  int type = 0;
  int listens = 0;
  socklen_t type_size = sizeof type;
  socklen_t listens_size = sizeof listens;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size) != 0 ||
      ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_size) != 0 || type != SOCK_STREAM ||
      ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &listens_size) != 0 || listens == 0) {
    return std::nullopt;
  }
  wire::Address address;
  if (name.ss_family == AF_UNIX) {
    // An abstract one begins with 0: nobody but this machine's users guards it.
    address.path = reinterpret_cast<sockaddr_un*>(&name)->sun_path;
    return address.path.starts_with('/') ? std::optional(address) : std::nullopt;
  }
  address.kind = wire::Address::Kind::tcp;
  if (name.ss_family == AF_INET) {
    const auto* inet = reinterpret_cast<sockaddr_in*>(&name);
    address.host = host_of(AF_INET, &inet->sin_addr);
    address.port = ntohs(inet->sin_port);
  } else if (name.ss_family == AF_INET6) {
    const auto* inet = reinterpret_cast<sockaddr_in6*>(&name);
    address.host = host_of(AF_INET6, &inet->sin6_addr);
    address.port = ntohs(inet->sin6_port);
  }
  return address.host.empty() ? std::nullopt : std::optional(address);
}

}  // namespace

int count_passed_sockets() {
  const char* pid = std::getenv("LISTEN_PID");
  const char* count = std::getenv("LISTEN_FDS");
  const bool ours = pid != nullptr && count != nullptr && std::atoi(pid) == ::getpid();
  return ours ? std::clamp(std::atoi(count), 0, kMost) : 0;
}

wire::Result<std::vector<ListeningSocket>> take_passed_sockets() {
  std::vector<ListeningSocket> sockets;
  const int end = kFirst + count_passed_sockets();
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(name);
  for (int fd = kFirst; fd < end; ++fd) {
    auto address = address_of(fd);
    if (!address) {
      return tl::make_unexpected(wire::Error{
          125,
          "cannot serve descriptor " + std::to_string(fd) +
              " of the service manager: it is neither a listening Unix stream socket with a path "
              "nor a TCP one; correct ListenStream= of the socket unit"});
    }
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    sockets.push_back({fd, *std::move(address)});
  }
  return sockets;
}

}  // namespace tokenpool::proc
