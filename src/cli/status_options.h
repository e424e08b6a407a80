// The command lines of status, pause, resume and env.
//
// Every function takes the words after the command's name and fails with status 2 and a sentence
// that names the word and says what to give instead. None of them prints, exits or throws.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/server_address.h"
#include "wire/error.h"

namespace tokenpool::cli {

struct StatusOptions {
  bool help = false;  ///< --help was given: nothing else was checked
  bool json = false;
  bool watch = false;
  bool all = false;  ///< the list, whichever arbiter is named
  ServerWords server;
  std::vector<std::string> words;  ///< what is no option, in its order; for `set` only
  friend bool operator==(const StatusOptions&, const StatusOptions&) = default;
};

/// The options of `command`, one of "status" (--json, --watch, --all), "env" (--json), "set",
/// "pause" and "resume" (none); all have --server, --cookie-file and --run. The value of one is the
/// next word or stands behind `=`. An option given twice: the last one wins. The words of `set` are
/// for itself; status, pause and resume take one, which is as that of --run. Behind `--` all are
/// words.
wire::Result<StatusOptions> parse_status_options(std::string_view command,
                                                 const std::vector<std::string>& words);

}  // namespace tokenpool::cli
