// Text for people: what others have written, so that it can do nothing to a terminal. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tokenpool::wire {

struct Character {
  char32_t code = 0;
  std::size_t bytes = 0;  ///< 0: those at its place are no UTF-8
};
/// The one at the beginning of `text`, which is not empty.
Character first_of(std::string_view text);

/// `text` so that it can do nothing to a terminal and stays one line: control characters (C0, DEL,
/// C1), those that turn the direction of text, and bytes that are no UTF-8 become '?'.
std::string clean_line(std::string_view text);

/// The JSON text with what could do something to a terminal written as \uXXXX: it means the same.
std::string clean_json(std::string_view json);

/// A command as it stands in a line of ours: cut short.
std::string short_command(std::string command);

/// "0s", "59s", "3m05s", "2h05m", "3d04h".
std::string age_text(std::int64_t milliseconds);

}  // namespace tokenpool::wire
