// The command line and the configuration file of `tokenpool serve`.
#pragma once

#include <string>
#include <vector>

#include "serve/serve.h"
#include "wire/error.h"

namespace tokenpool::cli {

struct ServeOptions {
  bool help = false;  ///< --help was given: nothing else was checked
  serve::ServeConfig config;
};

/// `serve [-j N|auto] [--listen ADDR]... [--limit TYPE=N]... [--cookie-file FILE] [--allow-remote]
/// [--config FILE] [-q]`. What the file says counts where the command line says nothing. Without
/// any address: default_socket() (cli/server_address.h), unless `sockets_passed` by a service
/// manager. Fails with status 2 and a sentence that names the word, or the file and the key in it,
/// and says what to give instead.
wire::Result<ServeOptions> parse_serve(const std::vector<std::string>& words, int usable_cpus,
                                       bool sockets_passed);

}  // namespace tokenpool::cli
