#include <cerrno>
#include <cstring>
#include <string>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "proc/listening_socket.h"

namespace tokenpool::proc {
namespace {

constexpr int kBacklog = 1024;

tl::unexpected<wire::Error> cannot_listen(const wire::Address& address, int error,
                                          const std::string& advice) {
  return tl::make_unexpected(wire::Error{
      125, "cannot listen on " + wire::to_string(address) + ": " + std::strerror(error) + "; " +
               (error == EMFILE || error == ENFILE ? "raise the limit of open files (ulimit -n)"
                                                   : advice)});
}

sockaddr_un name_of(const wire::Address& address) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, address.path.data(), address.path.size());
  return name;
}

wire::Result<ListeningSocket> listen_unix(const wire::Address& address) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return cannot_listen(address, errno, "is there a kernel without Unix sockets?");
  const sockaddr_un name = name_of(address);
  // Nobody else may connect in the moment before a chmod.
  const mode_t mask = ::umask(0177);
  const int bound = ::bind(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name);
  const int error = errno;
  ::umask(mask);
  if (bound == 0 && ::listen(fd, kBacklog) == 0) return ListeningSocket{fd, address};
  ::close(fd);
  return cannot_listen(address, bound == 0 ? errno : error,
                       error == EADDRINUSE ? "remove what has this name, or choose another one"
                                           : "choose a folder in which files can be made");
}

wire::Result<ListeningSocket> listen_tcp(const wire::Address& address) {
  const bool ipv6 = address.host.find(':') != std::string::npos;
  const int fd = ::socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return cannot_listen(address, errno, "choose another kind of address");
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_storage name{};
  socklen_t size = 0;
  bool valid = false;
  if (ipv6) {
    auto* inet = reinterpret_cast<sockaddr_in6*>(&name);
    inet->sin6_family = AF_INET6;
    inet->sin6_port = htons(address.port);
    valid = ::inet_pton(AF_INET6, address.host.c_str(), &inet->sin6_addr) == 1;
    size = sizeof *inet;
  } else {
    auto* inet = reinterpret_cast<sockaddr_in*>(&name);
    inet->sin_family = AF_INET;
    inet->sin_port = htons(address.port);
    valid = ::inet_pton(AF_INET, address.host.c_str(), &inet->sin_addr) == 1;
    size = sizeof *inet;
  }
  if (!valid) errno = EINVAL;
  if (!valid || ::bind(fd, reinterpret_cast<const sockaddr*>(&name), size) != 0 ||
      ::listen(fd, kBacklog) != 0 ||
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size) != 0) {
    const int error = errno;
    ::close(fd);
    return cannot_listen(address, error, "choose another port, or 0 for any");
  }
  ListeningSocket socket{fd, address};
  socket.address.port = ntohs(ipv6 ? reinterpret_cast<sockaddr_in6*>(&name)->sin6_port
                                   : reinterpret_cast<sockaddr_in*>(&name)->sin_port);
  return socket;
}

}  // namespace

wire::Result<ListeningSocket> listen_on(const wire::Address& address) {
  return address.kind == wire::Address::Kind::tcp ? listen_tcp(address) : listen_unix(address);
}

bool is_served(const wire::Address& unix_address) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return false;
  const sockaddr_un name = name_of(unix_address);
  const bool served =
      ::connect(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0 || errno == EAGAIN;
  ::close(fd);
  return served;
}

wire::Result<void> make_private_folder(const std::string& path) {
  const auto cannot = [&path](const std::string& why, const char* advice) {
    return tl::make_unexpected(
        wire::Error{125, "cannot use the folder " + path + ": " + why + "; " + advice});
  };
  for (std::size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    (void)::mkdir(path.substr(0, slash).c_str(), 0755);
  }
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return cannot(std::strerror(errno), "choose another one");
  }
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0)
    return cannot(std::strerror(errno), "choose another one");
  if (!S_ISDIR(status.st_mode)) return cannot("it is no folder", "choose another one");
  if (status.st_uid != ::geteuid()) {
    return cannot("it belongs to another user", "choose a folder of your own");
  }
  if ((status.st_mode & (S_ISVTX | S_IWOTH)) != 0) {
    return cannot("all users share it", "choose a folder of your own in it");
  }
  if ((status.st_mode & 077) != 0) {
    return cannot("others may enter it", "close it to them (chmod 700)");
  }
  return {};
}

}  // namespace tokenpool::proc
