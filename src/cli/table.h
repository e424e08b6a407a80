// Text from outside laid out in columns of a terminal. Pure.
//
// The width of a character is 2 for the wide ones of East Asia and emoji, 0 for the common
// combining marks, else 1; a terminal may see a rare one differently.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "wire/plain_text.h"

namespace tokenpool::cli {

using wire::clean_line;

/// How many columns the clean `text` takes.
std::size_t columns_of(std::string_view text);

/// The clean `text` in at most `columns` columns; where something was cut off, "..." ends it.
std::string cut(std::string_view text, std::size_t columns);

/// The same, but "..." stands for a part of its middle: of a path the end tells most.
std::string cut_middle(std::string_view text, std::size_t columns);

struct Column {
  std::string_view heading;
  std::size_t most = 0;  ///< columns that a cell may take; 0: as many as it needs
  bool right = false;    ///< numbers stand at the right
  bool ends = false;     ///< what has no room is cut by cut_middle()
};

/// Clean cells under headings, two blanks before each column; each line at most `width` columns. A
/// column whose cells are all empty is left out. Cells and headings are cut to what there is; the
/// last column has what the others leave.
/// `rows` have as many cells as there are `columns`. No line for no row.
std::vector<std::string> lay_out(const std::vector<Column>& columns,
                                 const std::vector<std::vector<std::string>>& rows,
                                 std::size_t width);

}  // namespace tokenpool::cli
