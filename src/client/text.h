// Text from outside as the protocol takes it: addresses, the cookie, names of people's files.
//
// Pure. Any bytes are accepted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tokenpool::client {

/// Where an arbiter may listen.
struct Address {
  std::string path;  ///< absolute, of a Unix stream socket; empty: TCP
  std::string host;  ///< numeric, without brackets
  bool v6 = false;
  std::uint16_t port = 0;
  friend bool operator==(const Address&, const Address&) = default;
};

/// Of TOKENPOOL_ADDR, in order; localhost becomes two. Those that cannot be understood are left
/// out, because a later version may have more kinds; nothing is left: none could.
std::vector<Address> parse_addresses(std::string_view text);

/// "unix:/run/pool" and so on, for people.
std::string to_string(const Address& address);

/// A lease's number, 1 to 2^53-1; 0 where it is none.
std::uint64_t parse_lease(std::string_view text);

/// `text` in UTF-8 with at most `most` bytes: what is no UTF-8 becomes ?, and the cut is between
/// two characters.
std::string clean_text(std::string_view text, std::size_t most);

}  // namespace tokenpool::client
