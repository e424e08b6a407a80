#include "cli/env.h"

#include <cstdio>

#include "cli/help.h"
#include "cli/json.h"
#include "cli/neighbourhood.h"
#include "cli/server_address.h"
#include "cli/status_options.h"
#include "cli/terminal.h"
#include "proc/environ.h"

namespace tokenpool::cli {

Surroundings surroundings_of(const Server& server, const Environment& own) {
  Surroundings surroundings;
  surroundings.set = {{"TOKENPOOL_ADDR", server.address}, {"TOKENPOOL_COOKIE", server.cookie}};
  if (value_of(own, "TOKENPOOL_LEASE")) surroundings.unset = {"TOKENPOOL_LEASE"};
  return surroundings;
}

namespace {

int print_all(const Surroundings& surroundings, bool json) {
  return print(stdout, json ? to_json(surroundings) : to_shell(surroundings)) ? 0 : 1;
}

}  // namespace

int env(const std::vector<std::string>& words) {
  const auto options = parse_status_options("env", words);
  if (!options) return fail("env", options.error());
  if (options->help) return print(stdout, help_text("env", use_colour(stdout))) ? 0 : 1;
  if (options->server.server || options->server.cookie_file || options->server.run) {
    const auto server = find_server(options->server);
    if (!server) return fail("env", server.error());
    return print_all(surroundings_of(*server, proc::own_environment()), options->json);
  }
  const auto surroundings = own_surroundings();
  if (!surroundings) {
    const auto standing = standing_server();
    if (!standing) return fail("env", standing.error());
    if (*standing) {
      return print_all(surroundings_of(**standing, proc::own_environment()), options->json);
    }
    return fail("env",
                {1,
                 "no pool surrounds this process: neither it nor an ancestor has a "
                 "TOKENPOOL_FIFO that lives, and no server of yours is at its default socket; call "
                 "it below tokenpool run, or start tokenpool serve"});
  }
  return print_all(*surroundings, options->json);
}

}  // namespace tokenpool::cli
