// `bench_echo ADDRESS…` (unix:PATH or tcp:A.B.C.D:PORT): one epoll loop that reads what is there
// and writes it back, which is the least that any server of requests and answers costs. Prints
// "ready" when it listens; ends by a signal.
#include <vector>

#include <sys/epoll.h>

#include "bench_net.h"

namespace {

using tokenpool::bench::die;

int listen_at(const tokenpool::bench::Address& address) {
  const int listener =
      ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener < 0) die("socket");
  const int on = 1;
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(listener, address.get(), address.length) != 0) die("bind");
  if (::listen(listener, SOMAXCONN) != 0) die("listen");
  return listener;
}

void watch(int epoll, int descriptor) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = descriptor;
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) != 0) die("epoll_ctl");
}

void welcome(int epoll, int listener) {
  while (true) {
    const int socket = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (socket < 0) return;
    tokenpool::bench::send_at_once(socket);
    watch(epoll, socket);
  }
}

void echo(int socket) {
  static char text[65536];
  const ssize_t count = ::read(socket, text, sizeof text);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) {
    ::close(socket);
    return;
  }
  // A client that waits for each answer never fills the socket's buffer.
  if (::send(socket, text, static_cast<std::size_t>(count), MSG_NOSIGNAL) != count) {
    ::close(socket);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  tokenpool::bench::raise_descriptors();
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) die("epoll_create1");
  int last_listener = -1;
  for (int i = 1; i < argc; ++i) {
    last_listener = listen_at(tokenpool::bench::parse_address(argv[i]));
    watch(epoll, last_listener);
  }
  const int first_listener = last_listener - argc + 2;
  std::puts("ready");
  std::fflush(stdout);
  std::vector<epoll_event> events(512);
  while (true) {
    const int count = ::epoll_wait(epoll, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; ++i) {
      const int descriptor = events[static_cast<std::size_t>(i)].data.fd;
      if (descriptor >= first_listener && descriptor <= last_listener) {
        welcome(epoll, descriptor);
      } else {
        echo(descriptor);
      }
    }
  }
}
