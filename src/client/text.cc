#include "client/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>

#include "core/limits.h"
#include "wire/protocol.h"

namespace tokenpool::client {
namespace {

// What sun_path holds with its zero on every system that has Unix sockets; see unix(7).
constexpr std::size_t kMaxPath = 103;

template <typename Number>
std::optional<Number> number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool is_v4(std::string_view host) {
  int parts = 0;
  while (true) {
    const std::size_t dot = std::min(host.find('.'), host.size());
    const std::string_view part = host.substr(0, dot);
    if (part.size() > 3 || number<unsigned>(part).value_or(256) > 255) return false;
    ++parts;
    if (dot == host.size()) return parts == 4;
    host.remove_prefix(dot + 1);
  }
}

// Close enough to tell it from a name; the system's own parser decides when it is connected to.
bool is_v6(std::string_view host) {
  return host.find(':') != std::string_view::npos &&
         host.find_first_not_of("0123456789abcdefABCDEF:.") == std::string_view::npos;
}

void parse_tcp(std::string_view text, std::vector<Address>* addresses) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return;
  const auto port = number<std::uint16_t>(text.substr(colon + 1));
  std::string_view host = text.substr(0, colon);
  if (port.value_or(0) == 0) return;
  if (host == "localhost") {
    addresses->push_back({.path = {}, .host = "127.0.0.1", .v6 = false, .port = *port});
    addresses->push_back({.path = {}, .host = "::1", .v6 = true, .port = *port});
  } else if (host.starts_with('[') && host.ends_with(']') &&
             is_v6(host.substr(1, host.size() - 2))) {
    host = host.substr(1, host.size() - 2);
    addresses->push_back({.path = {}, .host = std::string(host), .v6 = true, .port = *port});
  } else if (is_v4(host)) {
    addresses->push_back({.path = {}, .host = std::string(host), .v6 = false, .port = *port});
  }
}

// The bytes of the character at the start of `text`, 0 where it is none (RFC 3629).
std::size_t character(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const auto tail = [&](std::size_t i) { return byte(i) >= 0x80 && byte(i) <= 0xBF; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return tail(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const bool shortest = first != 0xE0 || byte(1) >= 0xA0;
    const bool no_surrogate = first != 0xED || byte(1) <= 0x9F;
    return tail(1) && tail(2) && shortest && no_surrogate ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const bool shortest = first != 0xF0 || byte(1) >= 0x90;
    const bool in_range = first != 0xF4 || byte(1) <= 0x8F;
    return tail(1) && tail(2) && tail(3) && shortest && in_range ? 4 : 0;
  }
  return 0;
}

}  // namespace

std::vector<Address> parse_addresses(std::string_view text) {
  std::vector<Address> addresses;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(';'), text.size());
    std::string_view one = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (one.starts_with("unix:/") && one.size() - 5 <= kMaxPath &&
        one.find('\0') == std::string_view::npos) {
      addresses.push_back({.path = std::string(one.substr(5)), .host = {}, .v6 = false, .port = 0});
    } else if (one.starts_with("tcp:")) {
      parse_tcp(one.substr(4), &addresses);
    }
  }
  return addresses;
}

std::string to_string(const Address& address) {
  if (!address.path.empty()) return "unix:" + address.path;
  const std::string port = ":" + std::to_string(address.port);
  return "tcp:" + (address.v6 ? "[" + address.host + "]" : address.host) + port;
}

std::uint64_t parse_lease(std::string_view text) {
  const auto lease = number<std::uint64_t>(text);
  return lease && *lease <= core::kMaxNumber ? *lease : 0;
}

std::string clean_text(std::string_view text, std::size_t most) {
  std::string clean;
  while (!text.empty()) {
    const bool is_control = static_cast<unsigned char>(text.front()) < 0x20;
    const std::size_t bytes = is_control ? 0 : character(text);
    if (clean.size() + std::max<std::size_t>(bytes, 1) > most) break;
    if (bytes == 0) {
      clean += '?';
    } else {
      clean += text.substr(0, bytes);
    }
    text.remove_prefix(std::max<std::size_t>(bytes, 1));
  }
  return clean;
}

}  // namespace tokenpool::client
