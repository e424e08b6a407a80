// The words of a command line, read by CLI11; what is wrong with them is one sentence in the words
// of all commands. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "wire/error.h"

namespace tokenpool::cli {

/// What a command fails with that was called in a wrong way: status 2.
tl::unexpected<wire::Error> usage(std::string sentence);

/// Where to read on, to be appended to a sentence.
std::string see_help(std::string_view command);

/// Where the value of an option goes. A bool: it takes none, `=off` behind it is refused. A list:
/// the option may be given several times; of the others the last one counts.
using OptionTarget =
    std::variant<bool*, std::string*, std::optional<std::string>*, std::vector<std::string>*>;

struct CommandOption {
  std::string names;  ///< "--help,-h"
  OptionTarget target;
  std::string bare{};  ///< of a text that stands behind `=` only: what it is without one
};

/// That `command` has no option of the name that `word` begins with, and which of `known` is the
/// nearest.
std::string unknown_option(std::string_view command, const std::string& word,
                           const std::vector<std::string>& known);
std::string unknown_option(std::string_view command, const std::string& word,
                           const std::vector<CommandOption>& known);

/// All of `text`, digits with an optional minus sign.
std::optional<std::int64_t> number_of(std::string_view text);

/// Reads `words`, those after the name of `command`, into what `options` name. Answers what was
/// left over: where an option is unknown, it comes first. Fails with status 2.
wire::Result<std::vector<std::string>> parse_words(std::string_view command,
                                                   const std::vector<CommandOption>& options,
                                                   const std::vector<std::string>& words);

}  // namespace tokenpool::cli
