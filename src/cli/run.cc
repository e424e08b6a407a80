#include "cli/run.h"

#include <cstdio>

#include "cli/help.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "host/run.h"
#include "proc/capacity.h"

namespace tokenpool::cli {

int run(const std::vector<std::string>& words) {
  const auto options = parse_run(words, proc::usable_cpus());
  if (!options) return fail("run", options.error());
  if (options->help) return print(stdout, help_text("run", use_colour(stdout))) ? 0 : 1;
  return host::run(options->config);
}

}  // namespace tokenpool::cli
