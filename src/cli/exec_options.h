// The command line of `tokenpool exec`.
//
// Read by hand: exec is started once per compiler call, and a parser that first builds a model of
// its options costs more than the rest of it.
#pragma once

#include <string>
#include <vector>

#include "cli/defaults.h"
#include "launcher/launcher.h"
#include "wire/error.h"

namespace tokenpool::cli {

struct ExecOptions {
  bool help = false;  ///< --help was given: nothing else was checked
  launcher::LaunchConfig config;
  std::vector<std::string> notes;  ///< what of the defaults is ignored, and why: a line each
};

/// `exec [OPTION]... [--] CMD [ARG]...`. Options end where CMD begins, what follows belongs to CMD;
/// the value of one is the next word or stands behind `=`. An option given twice: the last one
/// wins. Where `words` say nothing, `defaults` do: variables before files; a project's file only
/// raises the niceness and lowers the priority. Fails with status 2 and a sentence that names the
/// word, the variable, or the file, line and key, and says what to give instead. Neither prints nor
/// exits.
wire::Result<ExecOptions> parse_exec(const std::vector<std::string>& words,
                                     const Defaults& defaults = {});

/// Fills in what `defaults` say. Error 2 names the variable, or file, line and key. Pure.
wire::Result<void> read_defaults(const Defaults& defaults, ExecOptions* options);

/// With the defaults of this process; what of them is ignored is said on stderr, unless the run
/// around has said so.
wire::Result<ExecOptions> read_exec(const std::vector<std::string>& words);

}  // namespace tokenpool::cli
