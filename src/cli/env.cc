#include "cli/env.h"

#include <cstdio>

#include "cli/help.h"
#include "cli/json.h"
#include "cli/neighbourhood.h"
#include "cli/options.h"
#include "cli/terminal.h"

namespace tokenpool::cli {

int env(const std::vector<std::string>& words) {
  const auto options = parse_print("env", words);
  if (!options) return fail("env", options.error());
  if (options->help) return print(stdout, help_text("env", use_colour(stdout))) ? 0 : 1;
  const auto surroundings = own_surroundings();
  if (!surroundings) {
    return fail("env", {1,
                        "no pool surrounds this process: neither it nor an ancestor has a "
                        "TOKENPOOL_FIFO that lives; call it below tokenpool run"});
  }
  return print(stdout, options->json ? to_json(*surroundings) : to_shell(*surroundings)) ? 0 : 1;
}

}  // namespace tokenpool::cli
