// What run and exec go by where the command line says nothing: the user's variables TOKENPOOL_*,
// the file .tokenpool.toml of the project, and the user's configuration file.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "cli/config_file.h"
#include "cli/surroundings.h"
#include "wire/error.h"

namespace tokenpool::cli {

struct Defaults {
  Environment variables;
  std::optional<ConfigText> user;
  /// Somebody else may have written what it says, and the user may never have read it: it is only
  /// to be obeyed where it makes the command use less of the machine.
  std::optional<ConfigText> project;
  std::vector<std::string> notes;  ///< which files are ignored, and why: a line each
};

inline constexpr std::string_view kProjectFile = ".tokenpool.toml";

/// `variables` and the files that they and `folder` (absolute; empty: it has no name) lead to:
/// $TOKENPOOL_CONFIG, else $XDG_CONFIG_HOME/tokenpool/config.toml, else
/// ~/.config/tokenpool/config.toml; and the kProjectFile that is nearest to `folder`, upwards.
/// TOKENPOOL_CONFIG=off: no file at all. Files that others than `user` and root can have written
/// are ignored. Error 2: the file that TOKENPOOL_CONFIG names is not there, or would be ignored.
wire::Result<Defaults> find_defaults(Environment variables, const std::string& folder, uid_t user);

/// Those of this process.
wire::Result<Defaults> own_defaults();

/// Takes the variables that are defaults for `run` alone out of this process's environment: its
/// build does not inherit them.
void forget_run_variables();

/// Whether this is inside of a build that has a pool: its run has told what is ignored.
bool is_in_build(const Defaults& defaults);

/// The value of the variable `name`; none where it is empty.
std::optional<std::string> variable_of(const Defaults& defaults, std::string_view name);

}  // namespace tokenpool::cli
