// What the helpers that speak over sockets share: addresses as the protocol writes them, and a
// client of the protocol that costs little and checks what it is told.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "bench_client.h"

namespace tokenpool::bench {

/// Ends the helper with status 1 and this sentence on stderr.
[[noreturn]] inline void fail(const std::string& sentence) {
  std::fprintf(stderr, "bench: %s\n", sentence.c_str());
  std::exit(1);
}

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  [[nodiscard]] bool tcp() const { return storage.ss_family == AF_INET; }
};

/// `unix:PATH` or `tcp:A.B.C.D:PORT`; ends the helper when it is neither.
inline Address parse_address(const std::string& text) {
  Address address;
  if (text.rfind("unix:", 0) == 0) {
    auto* name = reinterpret_cast<sockaddr_un*>(&address.storage);
    const std::string path = text.substr(5);
    if (path.size() >= sizeof name->sun_path) fail(text + " is too long for a Unix socket");
    name->sun_family = AF_UNIX;
    std::memcpy(name->sun_path, path.c_str(), path.size() + 1);
    address.length = sizeof *name;
    return address;
  }
  const auto colon = text.rfind(':');
  auto* name = reinterpret_cast<sockaddr_in*>(&address.storage);
  if (text.rfind("tcp:", 0) != 0 || colon < 4 ||
      ::inet_pton(AF_INET, text.substr(4, colon - 4).c_str(), &name->sin_addr) != 1) {
    fail(text + " is neither unix:PATH nor tcp:A.B.C.D:PORT");
  }
  name->sin_family = AF_INET;
  name->sin_port = htons(static_cast<std::uint16_t>(std::atoi(text.c_str() + colon + 1)));
  address.length = sizeof *name;
  return address;
}

/// A small message is to leave at once, on whichever side.
inline void send_at_once(int socket) {
  const int on = 1;
  // A Unix socket refuses this and needs it not.
  (void)::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/// Connected, in blocking mode; a read gives up after 30 s, so that nobody waits for a server that
/// has stopped to answer.
inline int connect_to(const Address& address) {
  const int socket = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0) die("socket");
  if (::connect(socket, address.get(), address.length) != 0) die("connect");
  send_at_once(socket);
  const timeval patience{30, 0};
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return socket;
}

inline void write_all(int socket, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::send(socket, text.data(), text.size(), MSG_NOSIGNAL);
    if (count < 0 && errno != EINTR) die("send");
    if (count > 0) text.remove_prefix(static_cast<std::size_t>(count));
  }
}

/// As many descriptors as we may have: a crowd needs one for each connection.
inline void raise_descriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) die("getrlimit");
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) die("setrlimit");
}

// --- the protocol, as far as the benchmarks speak it ---

inline std::string read_cookie(const std::string& file) {
  char text[65] = "";
  std::FILE* stream = std::fopen(file.c_str(), "re");
  if (stream == nullptr || std::fread(text, 1, 64, stream) != 64) fail("no cookie in " + file);
  std::fclose(stream);
  return text;
}

/// Field 22 of /proc/self/stat.
inline std::string own_start() {
  char text[1024] = "";
  std::FILE* stream = std::fopen("/proc/self/stat", "re");
  if (stream == nullptr || std::fread(text, 1, sizeof text - 1, stream) == 0) die("stat");
  std::fclose(stream);
  std::string_view rest = std::string_view(text).substr(std::string_view(text).rfind(')') + 2);
  for (int field = 3; field < 22; ++field) rest.remove_prefix(rest.find(' ') + 1);
  return std::string(rest.substr(0, rest.find(' ')));
}

inline std::string hello_line(const std::string& cookie, const char* name) {
  return R"({"jsonrpc":"2.0","id":1,"method":"hello","params":{"protocol":1,"cookie":")" + cookie +
         R"(","name":")" + name + R"(","pid":)" + std::to_string(::getpid()) + R"(,"start":)" +
         own_start() + "}}\n";
}

inline constexpr std::string_view kAcquire =
    R"({"jsonrpc":"2.0","id":2,"method":"acquire","params":{"min":1,"max":1}})"
    "\n";
inline constexpr std::string_view kStatus = R"({"jsonrpc":"2.0","id":4,"method":"status"})"
                                            "\n";

/// With an id it is answered.
inline std::string release_line(std::string_view lease, bool answered) {
  std::string line = R"({"jsonrpc":"2.0",)";
  if (answered) line += R"("id":3,)";
  line += R"("method":"release","params":{"lease":)";
  line += lease;
  line += "}}\n";
  return line;
}

/// The number behind `"key":`, as text; empty when the line has none.
inline std::string_view number_of(std::string_view line, std::string_view key) {
  const auto at = line.find(key);
  if (at == std::string_view::npos) return {};
  auto first = at + key.size();
  while (first < line.size() && line[first] == ' ') ++first;
  auto last = first;
  while (last < line.size() && line[last] >= '0' && line[last] <= '9') ++last;
  return line.substr(first, last - first);
}

/// Whether the line was sent unasked (a recall, say); ends the helper when it is an error.
inline bool unasked(std::string_view line) {
  if (line.find(R"("result":)") != std::string_view::npos) return false;
  if (line.find(R"("method":)") != std::string_view::npos) return true;
  fail("the arbiter answered " + std::string(line));
}

/// One connection that waits for each answer.
class Client {
 public:
  Client(const Address& address, const std::string& cookie, const char* name)
      : socket_(connect_to(address)) {
    call(hello_line(cookie, name));
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() { ::close(socket_); }

  void send(std::string_view text) const { write_all(socket_, text); }

  /// The line of the next answer.
  std::string answer() {
    while (true) {
      const auto end = buffer_.find('\n');
      if (end == std::string::npos) {
        char text[4096];
        const ssize_t count = ::read(socket_, text, sizeof text);
        if (count < 0) die("no answer from the arbiter");
        if (count == 0) fail("the arbiter has closed the connection");
        buffer_.append(text, static_cast<std::size_t>(count));
        continue;
      }
      const std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      if (!unasked(line)) return line;
    }
  }

  std::string call(std::string_view text) {
    send(text);
    return answer();
  }

  std::string acquire() { return std::string(number_of(call(kAcquire), R"("lease":)")); }

 private:
  int socket_;
  std::string buffer_;
};

}  // namespace tokenpool::bench
