#include "cli/serve.h"

#include <cstdio>
#include <cstdlib>

#include <unistd.h>

#include "cli/help.h"
#include "cli/serve_options.h"
#include "cli/server_address.h"
#include "cli/terminal.h"
#include "proc/capacity.h"
#include "proc/passed_sockets.h"
#include "serve/serve.h"

namespace tokenpool::cli {

int serve(const std::vector<std::string>& words) {
  const auto read = [&words] {
    return parse_serve(words, proc::usable_cpus(), proc::count_passed_sockets() > 0);
  };
  const auto options = read();
  if (!options) return fail("serve", options.error());
  if (options->help) return print(stdout, help_text("serve", use_colour(stdout))) ? 0 : 1;
  return serve::serve(options->config, [&read]() -> wire::Result<serve::ServeConfig> {
    const auto again = read();
    if (!again) return tl::make_unexpected(again.error());
    return again->config;
  });
}

}  // namespace tokenpool::cli
