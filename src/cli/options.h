// The command lines: what the words after a command's name mean.
//
// Every function takes the words after the command's name and fails with status 2 and a sentence
// that names the word and says what to give instead. None of them prints, exits or throws.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/defaults.h"
#include "front/run.h"
#include "wire/error.h"

namespace tokenpool::cli {

struct RunOptions {
  bool help = false;  ///< --help was given: nothing else was checked
  front::RunConfig config;
  std::vector<std::string> notes;  ///< what of the defaults is ignored, and why: a line each
};

/// `run [OPTION]... [--] CMD [ARG]...`. Options end where CMD begins, what follows belongs to CMD.
/// An option given twice: the last one wins. `usable_cpus` is what -j cpus, the default, stands
/// for. Where `words` say nothing, `defaults` do (run_words.h).
wire::Result<RunOptions> parse_run(const std::vector<std::string>& words, int usable_cpus,
                                   const Defaults& defaults = {});

struct PrintOptions {
  bool help = false;
  bool json = false;
  bool verbose = false;  ///< the text has all details
  friend bool operator==(const PrintOptions&, const PrintOptions&) = default;
};

/// `doctor [-v] [--json]`; `command` is the name for the sentences.
wire::Result<PrintOptions> parse_print(std::string_view command,
                                       const std::vector<std::string>& words);

}  // namespace tokenpool::cli
