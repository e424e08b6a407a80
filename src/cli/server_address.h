// Which arbiter a command is for, and the way to it.
//
// The order: what --server or --run names; TOKENPOOL_ADDR; the pool that surrounds this process;
// the user's standing server at its default socket; the user's run, if there is one alone, or one
// alone whose command is not over. One that was named is never replaced by another one: what is
// wrong with it is an Error. The cookie is in no Error's sentence.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "cli/surroundings.h"
#include "tokenpool/client.hpp"
#include "wire/address.h"
#include "wire/error.h"

namespace tokenpool::cli {

/// What the command line says of it.
struct ServerWords {
  std::optional<wire::Address> server;     ///< --server
  std::optional<std::string> cookie_file;  ///< --cookie-file; comes before all other cookies
  std::optional<std::string> run;          ///< --run: one of own_pools(), see meant_pool()
  friend bool operator==(const ServerWords&, const ServerWords&) = default;
};

struct Server {
  std::string address;  ///< as TOKENPOOL_ADDR has it, so there may be several
  std::string cookie;
  friend bool operator==(const Server&, const Server&) = default;
};

struct LivePool;  // live_pools.h

/// What is looked at, and how.
struct ServerSources {
  Environment environment;
  uid_t user = 0;
  std::function<std::optional<Surroundings>()> surroundings;
  std::function<std::vector<Environment>()> runs;                         ///< as own_runs()
  std::function<std::vector<LivePool>(const std::vector<Server>&)> look;  ///< as look_at_pools()
  std::string here;                                                       ///< the current folder
  /// As read_cookie_file().
  std::function<wire::Result<std::optional<std::string>>(const std::string& path)> cookie_in;
  std::function<bool(const wire::Address& unix_address)> is_served;  ///< as proc::is_served()
};

/// The value of --server: as wire::parse_address(), or the path of a Unix socket with a slash in
/// it, from the current folder where it is relative. Error 2.
wire::Result<wire::Address> parse_server(const std::string& text);

/// Where the standing server of `user` listens: $XDG_RUNTIME_DIR/tokenpool/socket, where that is
/// not set to an absolute path /run/tokenpool/socket for root and /run/user/UID/tokenpool/socket
/// for others. Pure.
std::string default_socket(const Environment& environment, uid_t user);

/// The file with the cookie of the server at the Unix socket `path`. Pure.
std::string cookie_file_of(std::string_view socket_path);

/// The user's standing server, if it lives. Error 1: its cookie is not to be had.
wire::Result<std::optional<Server>> standing_server(const ServerSources& sources);
/// The same for this process.
wire::Result<std::optional<Server>> standing_server();

/// Whether somebody has named one: `words`, the environment, or the pool around.
bool names_arbiter(const ServerWords& words, const ServerSources& sources);
/// The same for this process.
bool names_arbiter(const ServerWords& words);

/// The user's standing server and his runs that can be reached. Error 1: the server's cookie is not
/// to be had, and there is nothing else.
wire::Result<std::vector<LivePool>> own_pools(const ServerSources& sources);
/// The same for this process.
wire::Result<std::vector<LivePool>> own_pools();

/// Error 1: there is none, or its cookie is not to be had. Pure but for `sources`.
wire::Result<Server> find_server(const ServerWords& words, const ServerSources& sources);
/// The same for this process.
wire::Result<Server> find_server(const ServerWords& words);

struct Barred {
  std::string why;
  std::string remedy;
};
/// Why `reason` (not ok) keeps us from the arbiter at `address`, and what to do. `seen` is what
/// why_nobody_answers() saw there, or what the arbiter said (Pool::reason_text()), put in with what
/// is in front of it. Pure.
Barred explain(client::Reason reason, const std::string& address, const std::string& seen);

/// Connects as a client of that name that runs under no lease and has no other mode. Error 1.
wire::Result<std::unique_ptr<client::Pool>> connect(const Server& server, const std::string& name);

/// What went wrong with a call, as a sentence: the arbiter's own words, or that the connection has
/// ended. Status 1.
wire::Error call_failed(const Server& server, const client::Error& error);

}  // namespace tokenpool::cli
