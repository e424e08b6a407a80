// What must hold for any text. Shared by the fuzz targets and the tests that replay their corpus;
// what does not hold aborts.
#pragma once

#include <string_view>

namespace tokenpool::fuzz {

/// Any value of MAKEFLAGS: no jobserver and no -j is left when they are taken out, doing so twice
/// is doing it once, and what is composed in any dialect is parsed as exactly that.
void check_makeflags(std::string_view value);

/// Arguments, one a line, the first line being the tool: nothing is added, what stays keeps its
/// order, and doing it twice is doing it once.
void check_strip_jobs(std::string_view lines);

/// A line of the protocol: a request that is read is written and read again as the same, a refusal
/// can be answered, and so can an answer and a status be passed on.
void check_protocol(std::string_view line);

}  // namespace tokenpool::fuzz
