// What the commands print: text with headings, and one line for a failure.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "wire/error.h"

namespace tokenpool::cli {

enum class Style : std::uint8_t { plain, heading, good, attention };

/// Whether `stream` gets colours: it is a terminal that can show them (TERM is set and not "dumb")
/// and NO_COLOR is unset or empty (https://no-color.org).
bool use_colour(std::FILE* stream);

/// `text` as `stream` should show it; unchanged when `colour` is false.
std::string styled(std::string_view text, Style style, bool colour);

/// Writes `text` in full. False, with one line on stderr, when the stream cannot take it (disk
/// full); a reader that has gone away (EPIPE) is no failure of ours and stays silent.
bool print(std::FILE* stream, std::string_view text);

/// Prints `error` as one line on stderr, "tokenpool COMMAND: SENTENCE" (`command` may be empty),
/// with control characters replaced so that a hostile argument stays one line. Answers
/// error.status.
int fail(std::string_view command, const wire::Error& error);

}  // namespace tokenpool::cli
