#include "cli/exec.h"

#include <cstdio>

#include "cli/exec_options.h"
#include "cli/help.h"
#include "cli/terminal.h"
#include "host/launcher.h"

namespace tokenpool::cli {

int exec(const std::vector<std::string>& words) {
  const auto options = read_exec(words);
  if (!options) return fail("exec", options.error());
  if (options->help) return print(stdout, help_text("exec", use_colour(stdout))) ? 0 : 1;
  const auto status = host::launch(options->config);
  return status ? *status : fail("exec", status.error());
}

}  // namespace tokenpool::cli
