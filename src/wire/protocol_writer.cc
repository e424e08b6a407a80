#include "wire/protocol_writer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <variant>

namespace tokenpool::wire {
namespace {

bool is_plain(char c) { return c >= 0x20 && c < 0x7F && c != '"' && c != '\\'; }

bool is_continuation(std::string_view text, std::size_t at) {
  return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;
}

/// Bytes of the character that begins at `at`; 0: it is none (RFC 3629).
std::size_t character_size(std::string_view text, std::size_t at) {
  const auto first = static_cast<unsigned char>(text[at]);
  const auto second = static_cast<unsigned char>(at + 1 < text.size() ? text[at + 1] : 0);
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4 || !is_continuation(text, at + 1)) return 0;
  if (first < 0xE0) return 2;
  if (!is_continuation(text, at + 2)) return 0;
  const bool is_overlong = first == 0xE0 && second < 0xA0;
  const bool is_surrogate = first == 0xED && second >= 0xA0;
  if (first < 0xF0) return is_overlong || is_surrogate ? 0 : 3;
  if (!is_continuation(text, at + 3)) return 0;
  const bool is_far = (first == 0xF0 && second < 0x90) || (first == 0xF4 && second >= 0x90);
  return is_far ? 0 : 4;
}

void append_escape(std::string* out, char c) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  const auto byte = static_cast<unsigned char>(c);
  if (c == '"' || c == '\\') {
    *out += '\\';
    *out += c;
  } else {
    *out += "\\u00";
    *out += kDigits[byte >> 4U];
    *out += kDigits[byte & 0x0FU];
  }
}

}  // namespace

LineWriter& LineWriter::value(std::string_view text) {
  out_ += '"';
  std::size_t at = 0;
  while (at < text.size()) {
    const auto* const first = text.begin() + at;
    const auto* const last = std::find_if_not(first, text.end(), is_plain);
    out_.append(first, last);
    at += static_cast<std::size_t>(last - first);
    if (at == text.size()) break;
    const auto byte = static_cast<unsigned char>(text[at]);
    const std::size_t size = character_size(text, at);
    if (size == 0) {
      out_ += "\xEF\xBF\xBD";
    } else if (byte < 0x20 || byte == '"' || byte == '\\') {
      append_escape(&out_, text[at]);
    } else {
      out_ += text.substr(at, size);
    }
    at += std::max<std::size_t>(size, 1);
  }
  out_ += '"';
  return *this;
}

LineWriter& LineWriter::value(double number) {
  std::array<char, 32> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number);
  return raw({digits.data(), static_cast<std::size_t>(end.ptr - digits.data())});
}

LineWriter& LineWriter::signed_number(std::int64_t number) {
  std::array<char, 20> digits;  // NOLINT: filled at once
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number);
  return raw({digits.data(), static_cast<std::size_t>(end.ptr - digits.data())});
}

LineWriter& LineWriter::unsigned_number(std::uint64_t number) {
  std::array<char, 20> digits;  // NOLINT: filled at once
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number);
  return raw({digits.data(), static_cast<std::size_t>(end.ptr - digits.data())});
}

LineWriter& LineWriter::value(const CallId& id) {
  if (const auto* number = std::get_if<std::int64_t>(&id)) return value(*number);
  if (const auto* text = std::get_if<std::string>(&id)) return value(*text);
  return raw("null");
}

LineWriter& LineWriter::key(std::string_view name) {
  if (out_.back() != '{') out_ += ',';
  out_ += '"';
  out_ += name;
  out_ += "\":";
  return *this;
}

LineWriter& LineWriter::element() {
  if (out_.back() != '[' && out_.back() != '{') out_ += ',';
  return *this;
}

LineWriter& LineWriter::begin_result(const CallId& id) {
  return raw(R"({"jsonrpc":"2.0","id":)").value(id).raw(R"(,"result":)");
}

}  // namespace tokenpool::wire
