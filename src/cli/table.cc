#include "cli/table.h"

#include <algorithm>
#include <array>

namespace tokenpool::cli {
namespace {

using wire::Character;
using wire::first_of;

constexpr std::size_t kGap = 2;  // columns before each column

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

/// As many from its end.
std::string_view ending(std::string_view text, std::size_t columns) {
  while (columns_of(text) > columns) {
    text.remove_prefix(std::max<std::size_t>(first_of(text).bytes, 1));
  }
  // A mark that has lost what it stood on.
  while (!text.empty() && width_of(first_of(text).code) == 0) {
    text.remove_prefix(std::max<std::size_t>(first_of(text).bytes, 1));
  }
  return text;
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

/// The last one that is not left out gets what is left of `width`.
void fit_last(std::size_t width, std::vector<std::size_t>* widths) {
  const auto last =
      std::find_if(widths->rbegin(), widths->rend(), [](auto one) { return one > 0; });
  if (last == widths->rend()) return;
  std::size_t used = kGap;
  for (auto other = last + 1; other != widths->rend(); ++other) {
    if (*other > 0) used += *other + kGap;
  }
  *last = std::min(*last, std::max<std::size_t>(width, used + 1) - used);
}

}  // namespace

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

std::string cut_middle(std::string_view text, std::size_t columns) {
  constexpr std::size_t kDots = 3;
  if (columns_of(text) <= columns || columns < 3 * kDots) return cut(text, columns);
  const std::size_t kept = columns - kDots;
  return std::string(beginning(text, kept / 3)) + std::string(kDots, '.') +
         std::string(ending(text, kept - kept / 3));
}

std::vector<std::string> lay_out(const std::vector<Column>& columns,
                                 const std::vector<std::vector<std::string>>& rows,
                                 std::size_t width) {
  std::vector<std::string> lines;
  if (rows.empty()) return lines;
  std::vector<std::size_t> widths = widths_of(columns, rows);
  fit_last(width, &widths);
  const auto add = [&](const auto& cell_at) {
    std::string line;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (widths[i] == 0) continue;
      const std::string cell = cell_at(i);
      const std::string shown =
          columns[i].ends ? cut_middle(cell, widths[i]) : cut(cell, widths[i]);
      line += std::string(kGap, ' ') + padded(shown, widths[i], columns[i].right);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    lines.push_back(cut(line, width));
  };
  add([&](std::size_t i) { return std::string(columns[i].heading); });
  for (const auto& row : rows) add([&](std::size_t i) { return row[i]; });
  return lines;
}

}  // namespace tokenpool::cli
