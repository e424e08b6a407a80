// Where an arbiter listens, as TOKENPOOL_ADDR and --listen say it; see tokenpool-protocol(7).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "wire/error.h"

namespace tokenpool::wire {

struct Address {
  enum class Kind : std::uint8_t { unix_socket, tcp };
  Kind kind = Kind::unix_socket;
  std::string path;  ///< absolute, shorter than kMaxSocketPath
  std::string host;  ///< numeric, without brackets
  std::uint16_t port = 0;
  friend bool operator==(const Address&, const Address&) = default;
};

/// sun_path of Linux has 108 bytes with its 0 (unix(7)).
inline constexpr std::size_t kMaxSocketPath = 108;

/// "unix:/path", "tcp:127.0.0.1:7777", "tcp:[::1]:0", "tcp:localhost:7777". Error 2 says what is
/// wrong with it.
Result<Address> parse_address(std::string_view text);
/// As parse_address() reads it.
std::string to_string(const Address& address);
/// 127.0.0.0/8 and ::1; every Unix socket.
bool is_loopback(const Address& address);

}  // namespace tokenpool::wire
