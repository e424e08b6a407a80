#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <unordered_map>
#include <vector>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proc/clock.h"
#include "proc/peer.h"
#include "proc/process.h"
#include "session/connections.h"
#include "wire/limits.h"

namespace tokenpool::session {
namespace {

constexpr int kEventBatch = 128;

// A client that is asleep or cut off is told of by nothing else: its machine does not answer.
constexpr int kIdleSeconds = 10;
constexpr int kProbes = 3;

void set_option(int fd, int level, int option, int value) {
  ::setsockopt(fd, level, option, &value, sizeof value);
}

void prepare_tcp(int fd) {
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, kIdleSeconds);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, kIdleSeconds);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, kProbes);
  set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 1000 * kIdleSeconds * kProbes);
}

void tell_no_room(int fd) {
  std::string refusal;
  wire::append_error(&refusal, {}, wire::ErrorCode::too_many,
                     "no descriptor is left; try again later");
  (void)::send(fd, refusal.data(), refusal.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  ::close(fd);
}

int open_spare() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }

}  // namespace

struct Connections::Impl {
  struct Listener {
    int fd = -1;
    bool is_unix = false;
  };
  struct Connection {
    int fd = -1;
    bool waits_to_write = false;
  };

  Impl(Dispatcher* served, uid_t served_user) : dispatcher(*served), user(served_user) {}

  Dispatcher& dispatcher;
  uid_t user;
  std::vector<uid_t> admitted;  ///< besides him and root
  int set = ::epoll_create1(EPOLL_CLOEXEC);
  int spare = open_spare();
  std::vector<Listener> listeners;
  std::unordered_map<core::SessionId, Connection> connections;
  std::array<char, wire::kMaxLine> buffer{};

  bool add(int fd, std::uint64_t key, std::uint32_t events) const {
    epoll_event event{};
    event.events = events;
    event.data.u64 = key;
    return ::epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0;
  }
  void change(int fd, std::uint64_t key, std::uint32_t events) const {
    epoll_event event{};
    event.events = events;
    event.data.u64 = key;
    ::epoll_ctl(set, EPOLL_CTL_MOD, fd, &event);
  }

  [[nodiscard]] bool may_connect(uid_t who) const;
  void accept_all(const Listener& listener);
  bool turn_away(const Listener& listener);
  bool make_room();
  void accepted(int fd, const Listener& listener);
  void read(core::SessionId session);
  void send(core::SessionId session);
  void close(core::SessionId session);
};

namespace {

// Sessions count up from 1; the numbers of listeners are beyond what they will ever reach.
constexpr std::uint64_t kListener = std::uint64_t{1} << 63;

}  // namespace

Connections::Connections(Dispatcher* dispatcher, uid_t user)
    : impl_(std::make_unique<Impl>(dispatcher, user)) {}

void Connections::admit(uid_t user) { impl_->admitted.push_back(user); }

Connections::~Connections() {
  for (const auto& [session, connection] : impl_->connections) ::close(connection.fd);
  for (const int fd : {impl_->set, impl_->spare}) {
    if (fd >= 0) ::close(fd);
  }
}

int Connections::fd() const { return impl_->set; }

void Connections::listen_on(int fd, bool is_unix) {
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  impl_->listeners.push_back({fd, is_unix});
  impl_->add(fd, kListener + impl_->listeners.size() - 1, EPOLLIN);
}

void Connections::stop_listening() {
  for (const auto& listener : impl_->listeners) {
    ::epoll_ctl(impl_->set, EPOLL_CTL_DEL, listener.fd, nullptr);
  }
  impl_->listeners.clear();
}

void Connections::serve(const std::function<void()>& after) {
  std::array<epoll_event, kEventBatch> events{};
  const int count = ::epoll_wait(impl_->set, events.data(), kEventBatch, 0);
  for (int i = 0; i < count; ++i) {
    const auto& event = events[static_cast<std::size_t>(i)];
    const std::uint64_t key = event.data.u64;
    if (key >= kListener) {
      const std::size_t index = key - kListener;
      if (index < impl_->listeners.size()) impl_->accept_all(impl_->listeners[index]);
      continue;
    }
    if ((event.events & EPOLLOUT) != 0) impl_->send(key);
    if ((event.events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) impl_->read(key);
  }
  after();
  flush();
}

void Connections::flush() {
  // Closing a session may grant others what it held.
  for (auto listed = impl_->dispatcher.outputs(); !listed.empty();
       listed = impl_->dispatcher.outputs()) {
    for (const core::SessionId session : listed) impl_->send(session);
  }
}

void Connections::close_all() {
  std::vector<core::SessionId> sessions;
  for (const auto& [session, connection] : impl_->connections) sessions.push_back(session);
  for (const core::SessionId session : sessions) impl_->close(session);
}

void Connections::Impl::accept_all(const Listener& listener) {
  for (int i = 0; i < kEventBatch; ++i) {
    const int fd = ::accept4(listener.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
      if (!make_room() && !turn_away(listener)) return;
      continue;
    }
    if (fd >= 0 && !proc::is_to_spare(fd) && !make_room()) {
      tell_no_room(fd);
      continue;
    }
    if (fd < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      return;
    }
    accepted(fd, listener);
  }
}

// Whoever cannot be had is told so at once, or it would wait and the set would never rest.
bool Connections::Impl::turn_away(const Listener& listener) {
  ::close(spare);
  const int fd = ::accept4(listener.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd >= 0) tell_no_room(fd);
  spare = open_spare();
  return fd >= 0;
}

bool Connections::Impl::make_room() {
  if (!dispatcher.drop_stranger()) return false;
  for (const core::SessionId session : dispatcher.outputs()) send(session);
  return true;
}

bool Connections::Impl::may_connect(uid_t who) const {
  return who == user || who == 0 ||
         std::find(admitted.begin(), admitted.end(), who) != admitted.end();
}

void Connections::Impl::accepted(int fd, const Listener& listener) {
  Peer peer;
  std::string refusal;
  core::SessionId session = 0;
  if (listener.is_unix) {
    const auto known = proc::peer_of(fd);
    peer.local = true;
    if (!known || !may_connect(known->user)) {
      dispatcher.count_stranger();
      const std::string whose = known ? ", you are user " + std::to_string(known->user) : "";
      wire::append_error(&refusal, {}, wire::ErrorCode::not_authorized,
                         "it serves user " + std::to_string(user) + " only" + whose);
    } else {
      peer.process = known->process;
    }
  } else {
    prepare_tcp(fd);
  }
  if (refusal.empty()) session = dispatcher.open(peer, proc::now(), &refusal);
  if (session == 0) {
    (void)::send(fd, refusal.data(), refusal.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    ::close(fd);
    return;
  }
  connections[session] = {fd, false};
  if (!add(fd, session, EPOLLIN | EPOLLRDHUP)) close(session);
}

void Connections::Impl::read(core::SessionId session) {
  const auto entry = connections.find(session);
  if (entry == connections.end()) return;
  const ssize_t n = ::recv(entry->second.fd, buffer.data(), buffer.size(), 0);
  if (n > 0) {
    return dispatcher.receive(session, {buffer.data(), static_cast<std::size_t>(n)}, proc::now());
  }
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  close(session);
}

void Connections::Impl::send(core::SessionId session) {
  const auto entry = connections.find(session);
  if (entry == connections.end()) return;
  Connection& connection = entry->second;
  const std::string_view text = dispatcher.outbox(session);
  std::size_t sent = 0;
  while (sent < text.size()) {
    const ssize_t n =
        ::send(connection.fd, text.data() + sent, text.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != EAGAIN) return close(session);
    if (n < 0) break;
    sent += static_cast<std::size_t>(n);
  }
  const bool waits = sent < text.size();
  dispatcher.sent(session, sent);
  if (dispatcher.is_closing(session)) return close(session);
  if (waits != connection.waits_to_write) {
    connection.waits_to_write = waits;
    change(connection.fd, session, EPOLLIN | EPOLLRDHUP | (waits ? EPOLLOUT : 0U));
  }
}

void Connections::Impl::close(core::SessionId session) {
  const auto entry = connections.find(session);
  if (entry == connections.end()) return;
  ::close(entry->second.fd);
  connections.erase(entry);
  dispatcher.closed(session, proc::now());
}

}  // namespace tokenpool::session
