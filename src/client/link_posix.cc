#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/link.h"

namespace tokenpool::client {
namespace {

// One turn of process() reads this much at most, so that a flood does not hold up the caller.
constexpr std::size_t kMaxRead = 1U << 20;

union SocketAddress {
  sockaddr any;
  sockaddr_un path;
  sockaddr_in v4;
  sockaddr_in6 v6;
};

// Answers the length, 0 where the host is no address of its family.
socklen_t socket_address(const Address& address, SocketAddress* out) {
  std::memset(out, 0, sizeof *out);
  if (!address.path.empty()) {
    out->path.sun_family = AF_UNIX;
    address.path.copy(out->path.sun_path, sizeof out->path.sun_path - 1);
    return sizeof out->path;
  }
  if (address.v6) {
    out->v6.sin6_family = AF_INET6;
    out->v6.sin6_port = htons(address.port);
    return inet_pton(AF_INET6, address.host.c_str(), &out->v6.sin6_addr) == 1 ? sizeof out->v6 : 0;
  }
  out->v4.sin_family = AF_INET;
  out->v4.sin_port = htons(address.port);
  return inet_pton(AF_INET, address.host.c_str(), &out->v4.sin_addr) == 1 ? sizeof out->v4 : 0;
}

int open_socket(const Address& address, int family) {
  const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd >= 0 && address.path.empty()) {
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  return fd;
}

}  // namespace

Link::Link(std::vector<Address> addresses) : addresses_(std::move(addresses)) {}

Link::~Link() { close(); }

void Link::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  state_ = State::closed;
}

short Link::events(bool writing) const {
  switch (state_) {
    case State::closed:
      return 0;
    case State::connecting:
      return POLLOUT;
    case State::open:
      return static_cast<short>(writing ? POLLIN | POLLOUT : POLLIN);
  }
  return 0;
}

void Link::connect_next() {
  current_ = next_;
  next_ = (next_ + 1) % addresses_.size();
  connect_again();
}

void Link::connect_again() {
  close();
  busy_ = false;
  const Address& address = addresses_[current_];
  SocketAddress target;
  const socklen_t length = socket_address(address, &target);
  if (length == 0) return;
  fd_ = open_socket(address, target.any.sa_family);
  if (fd_ < 0) return;
  if (connect(fd_, &target.any, length) == 0) {
    state_ = State::open;
  } else if (errno == EINPROGRESS || errno == EINTR) {
    state_ = State::connecting;
  } else {
    error_ = errno;
    // A Unix socket whose queue is full; see connect(2).
    busy_ = error_ == EAGAIN;
    close();
  }
}

void Link::check() {
  pollfd ready{.fd = fd_, .events = POLLOUT, .revents = 0};
  if (state_ != State::connecting || poll(&ready, 1, 0) <= 0) return;
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) {
    error_ = error;
    close();
  } else {
    state_ = State::open;
  }
}

bool Link::read(std::string* bytes) {
  std::array<char, 16384> part;  // filled by recv
  std::size_t total = 0;
  while (total < kMaxRead) {
    const ssize_t got = recv(fd_, part.data(), part.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
    if (got == 0) return false;
    bytes->append(part.data(), static_cast<std::size_t>(got));
    total += static_cast<std::size_t>(got);
    // Mostly there is no more; if there is, poll(2) tells.
    if (static_cast<std::size_t>(got) < part.size()) break;
  }
  return true;
}

bool Link::write(std::string* bytes) {
  std::size_t sent = 0;
  bool alive = true;
  while (alive && sent < bytes->size()) {
    const ssize_t now =
        send(fd_, bytes->data() + sent, bytes->size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (now >= 0) {
      sent += static_cast<std::size_t>(now);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      break;
    } else {
      alive = errno == EINTR;
    }
  }
  bytes->erase(0, sent);
  return alive;
}

}  // namespace tokenpool::client
