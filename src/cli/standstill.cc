#include "cli/standstill.h"

#include <charconv>

namespace tokenpool::cli {

wire::Result<std::chrono::seconds> parse_standstill(const std::string& word) {
  if (word == "off") return std::chrono::seconds(0);
  int seconds = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), seconds);
  if (error == std::errc() && end == word.data() + word.size() && seconds >= 1 &&
      seconds <= 86400) {
    return std::chrono::seconds(seconds);
  }
  return tl::make_unexpected(
      wire::Error{2, "--standstill " + (word.empty() ? "''" : word) +
                         ": not a time, give whole seconds from 1 to 86400, or off"});
}

}  // namespace tokenpool::cli
