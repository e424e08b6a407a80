// What `run` is told, as the words that its options take, wherever they stand: on the command line,
// in a variable, in a file.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/defaults.h"
#include "front/run.h"
#include "wire/error.h"

namespace tokenpool::cli {

struct RunWords {
  std::string slots = "cpus";
  std::string track = "auto";
  std::string shims = "on";
  std::string standstill = "5";
  std::string wrap;  ///< "*": those that are known; empty: off
  std::string nice = "0";
  std::optional<std::string> report;
  std::vector<std::string> listen;
  std::vector<std::string> limits;  ///< TYPE=N; of a type that is named twice the last one counts
  bool allow_remote = false;
  bool enforce = false;
  bool die_with_parent = false;
  bool end_leftovers = false;
  bool quiet = false;
};

/// What they mean; the command is left empty. Error 2: a sentence that begins with the option and
/// its value. Pure.
wire::Result<front::RunConfig> check_run(const RunWords& words, int usable_cpus);

/// The defaults of `run`. What a variable says comes before what a file says; the project's file
/// only narrows what the user's file, or nobody, says: fewer slots, lower limits, a higher
/// niceness, and --wrap where that is off. A line in `notes` names what else it has. A variable
/// that `run` itself gives its builds (TOKENPOOL_JOBS, _SHIMS, _WRAP) is none inside of a build.
/// Error 2 names the variable, or file, line and key, and says what to give. Pure.
wire::Result<RunWords> run_defaults(const Defaults& defaults, int usable_cpus,
                                    std::vector<std::string>* notes);

/// The variables that are defaults for `run` alone; `in_build`: inside of a build that has a pool.
std::vector<std::string> run_variables(bool in_build);

}  // namespace tokenpool::cli
