// The command line of `tokenpool exec`.
//
// Read by hand: exec is started once per compiler call, and a parser that first builds a model of
// its options costs more than the rest of it.
#pragma once

#include <string>
#include <vector>

#include "host/launcher.h"
#include "wire/error.h"

namespace tokenpool::cli {

struct ExecOptions {
  bool help = false;  ///< --help was given: nothing else was checked
  host::LaunchConfig config;
};

/// `exec [OPTION]... [--] CMD [ARG]...`. Options end where CMD begins, what follows belongs to CMD;
/// the value of one is the next word or stands behind `=`. An option given twice: the last one
/// wins. Fails with status 2 and a sentence that names the word and says what to give instead.
/// Neither prints nor exits.
wire::Result<ExecOptions> parse_exec(const std::vector<std::string>& words);

}  // namespace tokenpool::cli
