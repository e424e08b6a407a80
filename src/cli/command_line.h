// The words of a command line, read by CLI11; what is wrong with them is one sentence in the words
// of all commands. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wire/error.h"

namespace CLI {
class App;
}

namespace tokenpool::cli {

/// What a command fails with that was called in a wrong way: status 2.
tl::unexpected<wire::Error> usage(std::string sentence);

/// Where to read on, to be appended to a sentence.
std::string see_help(std::string_view command);

/// That `command` has no option of the name that `word` begins with, and which of `known` is the
/// nearest.
std::string unknown_option(std::string_view command, const std::string& word,
                           const std::vector<std::string>& known);
std::string unknown_option(const CLI::App& app, std::string_view command, const std::string& word);

/// All of `text`, digits with an optional minus sign.
std::optional<std::int64_t> number_of(std::string_view text);

/// An option without a value: `=off` behind it is refused.
void add_switch(CLI::App* app, const std::string& names, bool* is_on);

/// Reads `words`, those after the command's name, into what `app` was told. Answers what was left
/// over: where an option is unknown, it comes first. Fails with status 2.
wire::Result<std::vector<std::string>> parse_words(CLI::App* app, std::string_view command,
                                                   const std::vector<std::string>& words);

}  // namespace tokenpool::cli
