#include "cli/table.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace tokenpool::cli {
namespace {

struct Character {
  char32_t code = 0;
  std::size_t bytes = 0;  ///< 0: those at its place are no UTF-8
};

/// The one at the beginning of `text`, which is not empty.
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

struct Range {
  char32_t first;
  char32_t last;
};

template <std::size_t count>
bool is_in(const std::array<Range, count>& ranges, char32_t code) {
  return std::any_of(ranges.begin(), ranges.end(), [code](const Range& range) {
    return code >= range.first && code <= range.last;
  });
}

constexpr std::array<Range, 6> kHarmful{{{0, 0x1f},
                                         {0x7f, 0x9f},
                                         {0x200e, 0x200f},
                                         {0x2028, 0x202e},
                                         {0x2066, 0x2069},
                                         {0xfeff, 0xfeff}}};
// Unicode 15: East_Asian_Width W and F in large pieces, and the blocks of combining marks.
constexpr std::array<Range, 8> kWide{{{0x1100, 0x115f},
                                      {0x2e80, 0x303e},
                                      {0x3041, 0xa4cf},
                                      {0xac00, 0xd7a3},
                                      {0xf900, 0xfaff},
                                      {0xfe30, 0xfe6f},
                                      {0xff00, 0xff60},
                                      {0x1f300, 0x3fffd}}};
constexpr std::array<Range, 5> kCombining{
    {{0x300, 0x36f}, {0x200b, 0x200d}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}}};

std::size_t width_of(char32_t code) {
  return is_in(kCombining, code) ? 0 : is_in(kWide, code) ? 2 : 1;
}

/// As many characters from its beginning as fit into `columns`.
std::string_view beginning(std::string_view text, std::size_t columns) {
  std::size_t bytes = 0;
  std::size_t used = 0;
  while (bytes < text.size()) {
    const Character character = first_of(text.substr(bytes));
    used += width_of(character.code);
    if (used > columns) break;
    bytes += std::max<std::size_t>(character.bytes, 1);
  }
  return text.substr(0, bytes);
}

std::string padded(const std::string& cell, std::size_t width, bool right) {
  const std::size_t used = columns_of(cell);
  const std::string blanks(width > used ? width - used : 0, ' ');
  return right ? blanks + cell : cell + blanks;
}

/// 0: the column is left out.
std::vector<std::size_t> widths_of(const std::vector<Column>& columns,
                                   const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    std::size_t width = 0;
    for (const auto& row : rows) width = std::max(width, columns_of(row[i]));
    if (width > 0) width = std::max(width, columns[i].heading.size());
    widths.push_back(columns[i].most == 0 ? width : std::min(width, columns[i].most));
  }
  return widths;
}

}  // namespace

std::string clean_line(std::string_view text) {
  std::string clean;
  clean.reserve(text.size());
  while (!text.empty()) {
    const Character character = first_of(text);
    const std::size_t bytes = std::max<std::size_t>(character.bytes, 1);
    if (character.bytes == 0 || is_in(kHarmful, character.code)) {
      clean += '?';
    } else {
      clean += text.substr(0, bytes);
    }
    text.remove_prefix(bytes);
  }
  return clean;
}

std::size_t columns_of(std::string_view text) {
  std::size_t columns = 0;
  while (!text.empty()) {
    const Character character = first_of(text);
    columns += width_of(character.code);
    text.remove_prefix(std::max<std::size_t>(character.bytes, 1));
  }
  return columns;
}

std::string cut(std::string_view text, std::size_t columns) {
  if (columns_of(text) <= columns) return std::string(text);
  const std::size_t dots = std::min<std::size_t>(columns, 3);
  return std::string(beginning(text, columns - dots)) + std::string(dots, '.');
}

std::vector<std::string> lay_out(const std::vector<Column>& columns,
                                 const std::vector<std::vector<std::string>>& rows,
                                 std::size_t width) {
  std::vector<std::string> lines;
  if (rows.empty()) return lines;
  const std::vector<std::size_t> widths = widths_of(columns, rows);
  const auto add = [&](const auto& cell_at) {
    std::string line;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (widths[i] == 0) continue;
      line += "  " + padded(cut(cell_at(i), widths[i]), widths[i], columns[i].right);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    lines.push_back(cut(line, width));
  };
  add([&](std::size_t i) { return std::string(columns[i].heading); });
  for (const auto& row : rows) add([&](std::size_t i) { return row[i]; });
  return lines;
}

}  // namespace tokenpool::cli
