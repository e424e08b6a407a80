#include "wire/plain_text.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace tokenpool::wire {
namespace {

struct Range {
  char32_t first;
  char32_t last;
};

constexpr std::array<Range, 6> kHarmful{{{0, 0x1f},
                                         {0x7f, 0x9f},
                                         {0x200e, 0x200f},
                                         {0x2028, 0x202e},
                                         {0x2066, 0x2069},
                                         {0xfeff, 0xfeff}}};

bool is_harmful(char32_t code) {
  return std::any_of(kHarmful.begin(), kHarmful.end(), [code](const Range& range) {
    return code >= range.first && code <= range.last;
  });
}

// Columns of a line that a command may take.
constexpr std::size_t kShortCommand = 40;

}  // namespace

Character first_of(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t bytes = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < bytes) return {};
  char32_t code = lead & (0xffU >> (bytes + 1));
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0U) != 0x80U) return {};
    code = code << 6U | (byte(i) & 0x3fU);
  }
  const bool too_long = (bytes == 3 && code < 0x800) || (bytes == 4 && code < 0x10000);
  if (too_long || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return {};
  return {code, bytes};
}

std::string clean_line(std::string_view text) {
  std::string clean;
  clean.reserve(text.size());
  while (!text.empty()) {
    const Character character = first_of(text);
    const std::size_t bytes = std::max<std::size_t>(character.bytes, 1);
    if (character.bytes == 0 || is_harmful(character.code)) {
      clean += '?';
    } else {
      clean += text.substr(0, bytes);
    }
    text.remove_prefix(bytes);
  }
  return clean;
}

std::string clean_json(std::string_view json) {
  constexpr char32_t kFirst = 0x7f;  // before it, JSON allows none of them but between its parts
  std::string clean;
  clean.reserve(json.size());
  while (!json.empty()) {
    const Character character = first_of(json);
    const std::size_t bytes = std::max<std::size_t>(character.bytes, 1);
    if (character.code >= kFirst && is_harmful(character.code)) {
      std::array<char, 8> escape{};
      std::snprintf(escape.data(), escape.size(), "\\u%04x", static_cast<unsigned>(character.code));
      clean += escape.data();
    } else {
      clean += json.substr(0, bytes);
    }
    json.remove_prefix(bytes);
  }
  return clean;
}

std::string short_command(std::string command) {
  // Of a program with a long path its own name tells more.
  const std::size_t word = std::min(command.find(' '), command.size());
  const std::size_t slash = command.rfind('/', word);
  if (command.size() > kShortCommand && slash != std::string::npos && slash + 1 < word) {
    command.erase(0, slash + 1);
  }
  if (command.size() > kShortCommand) command = command.substr(0, kShortCommand - 3) + "...";
  return command;
}

std::string age_text(std::int64_t milliseconds) {
  const std::int64_t seconds = std::max<std::int64_t>(milliseconds, 0) / 1000;
  const auto two = [](std::int64_t number) {
    return (number < 10 ? "0" : "") + std::to_string(number);
  };
  constexpr std::int64_t kMinute = 60;
  constexpr std::int64_t kHour = 60 * kMinute;
  constexpr std::int64_t kDay = 24 * kHour;
  if (seconds < kMinute) return std::to_string(seconds) + "s";
  if (seconds < kHour)
    return std::to_string(seconds / kMinute) + "m" + two(seconds % kMinute) + "s";
  if (seconds < kDay) {
    return std::to_string(seconds / kHour) + "h" + two(seconds % kHour / kMinute) + "m";
  }
  return std::to_string(seconds / kDay) + "d" + two(seconds % kDay / kHour) + "h";
}

}  // namespace tokenpool::wire
