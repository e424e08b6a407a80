// Text in sections, made to fit a screen. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cli/table.h"
#include "cli/terminal.h"

namespace tokenpool::cli {

inline constexpr std::size_t kWholeLines = 1U << 20;

struct StatusView {
  std::size_t columns = 80;  ///< no line is wider; kWholeLines: none is cut
  bool colour = false;
  std::size_t rows = 0;  ///< no page is higher; 0: as high as it becomes
};

/// What is given up first where a page is too high.
enum class Worth : std::uint8_t { least, less, rows, all };

class Page {
 public:
  explicit Page(const StatusView& view) : view_(view) {}

  /// At its beginning.
  void line(std::string_view text, Style style = Style::plain);
  /// "Name      value".
  void field(std::string_view name, std::string_view value, Style style = Style::plain);
  /// The same of a path or command: what has no room is cut out of its middle, and nothing of the
  /// `tail` behind it (a pid, an age).
  void named(std::string_view name, std::string_view value, std::string_view tail);
  /// A heading with a table. `total` >= rows: those that nobody has told of are counted, too.
  void table(std::string_view title, Worth worth, const std::vector<Column>& columns,
             const std::vector<std::vector<std::string>>& rows, std::size_t total);
  /// A heading with words in columns of one width, as many on a line as fit.
  void words(std::string_view title, Worth worth, const std::vector<std::string>& all);

  /// The page. Where it is too high, the sections of least worth are left out, then tables are made
  /// shorter, the longest first; "and N more" stands for what is missing.
  [[nodiscard]] std::string text() const;

 private:
  struct Section {
    std::string title;
    Worth worth = Worth::rows;
    std::string heading;             ///< of the columns; empty: there is none
    std::vector<std::string> lines;  ///< those that are shown
    std::size_t total = 0;           ///< lines that there would be
    [[nodiscard]] std::size_t height() const;
  };
  void fit(std::vector<Section>* sections, std::vector<std::string>* left_out) const;
  [[nodiscard]] std::string shown(std::string_view text, Style style = Style::plain) const;

  StatusView view_;
  std::vector<std::string> head_;
  std::vector<Section> sections_;
};

}  // namespace tokenpool::cli
