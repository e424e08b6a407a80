#include "wire/address.h"

#include <algorithm>
#include <charconv>

namespace tokenpool::wire {
namespace {

tl::unexpected<Error> wrong(std::string_view text, const std::string& why) {
  return tl::make_unexpected(Error{2, "the address '" + std::string(text) + "' is wrong: " + why +
                                          "; give unix:/path or tcp:HOST:PORT"});
}

bool is_ipv4(std::string_view host) {
  int parts = 0;
  while (true) {
    const auto dot = host.find('.');
    const std::string_view part = host.substr(0, dot);
    int value = -1;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (error != std::errc() || end != part.data() + part.size() || part.size() > 3) return false;
    if (value < 0 || value > 255) return false;
    ++parts;
    if (dot == std::string_view::npos) return parts == 4;
    host.remove_prefix(dot + 1);
  }
}

bool is_ipv6(std::string_view host) {
  return host.find(':') != std::string_view::npos &&
         std::all_of(host.begin(), host.end(), [](char c) {
           return c == ':' || c == '.' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
                  (c >= 'A' && c <= 'F');
         });
}

Result<Address> parse_tcp(std::string_view text, std::string_view rest) {
  const auto colon = rest.rfind(':');
  if (colon == std::string_view::npos) return wrong(text, "it has no port");
  std::string_view host = rest.substr(0, colon);
  const std::string_view port = rest.substr(colon + 1);
  Address address;
  address.kind = Address::Kind::tcp;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (port.empty() || error != std::errc() || end != port.data() + port.size()) {
    return wrong(text, "the port is no number from 0 to 65535");
  }
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (host == "localhost") host = "127.0.0.1";
  if (bracketed ? !is_ipv6(host) : !is_ipv4(host)) {
    return wrong(text, "the host is no numeric address (IPv6 in brackets) and not localhost");
  }
  address.host = host;
  return address;
}

}  // namespace

Result<Address> parse_address(std::string_view text) {
  if (text.starts_with("tcp:")) return parse_tcp(text, text.substr(4));
  if (!text.starts_with("unix:")) return wrong(text, "it begins with neither unix: nor tcp:");
  const std::string_view path = text.substr(5);
  if (!path.starts_with('/')) return wrong(text, "the path of a socket is absolute");
  if (path.size() >= kMaxSocketPath) return wrong(text, "a socket's path has less than 108 bytes");
  if (path.find(';') != std::string_view::npos || path.find('\0') != std::string_view::npos) {
    return wrong(text, "the path of a socket has no ';' in it");
  }
  Address address;
  address.path = path;
  return address;
}

std::string to_string(const Address& address) {
  if (address.kind == Address::Kind::unix_socket) return "unix:" + address.path;
  const bool ipv6 = address.host.find(':') != std::string::npos;
  return "tcp:" + (ipv6 ? "[" + address.host + "]" : address.host) + ":" +
         std::to_string(address.port);
}

bool is_loopback(const Address& address) {
  return address.kind == Address::Kind::unix_socket || address.host.starts_with("127.") ||
         address.host == "::1";
}

}  // namespace tokenpool::wire
