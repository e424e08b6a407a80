#include "cli/server_address.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include <unistd.h>

#include "cli/live_pools.h"
#include "cli/neighbourhood.h"
#include "cli/server_files.h"
#include "proc/environ.h"
#include "proc/listening_socket.h"

namespace tokenpool::cli {
namespace {

using wire::Address;

tl::unexpected<wire::Error> failed(std::string sentence) {
  return tl::make_unexpected(wire::Error{1, std::move(sentence)});
}

/// The value of `name`; an empty one counts as none.
std::optional<std::string> word_of(const Environment& environment, std::string_view name) {
  auto value = value_of(environment, name);
  if (value && value->empty()) value.reset();
  return value;
}

/// Those of TOKENPOOL_ADDR that can be understood.
std::vector<Address> addresses_in(std::string_view text) {
  std::vector<Address> found;
  while (!text.empty()) {
    const std::string_view one = text.substr(0, text.find(';'));
    if (auto address = wire::parse_address(one)) found.push_back(*std::move(address));
    text.remove_prefix(std::min(text.size(), one.size() + 1));
  }
  return found;
}

wire::Result<std::string> must_hold(const ServerSources& sources, const std::string& path,
                                    const std::string& remedy) {
  auto cookie = sources.cookie_in(path);
  if (!cookie) return tl::make_unexpected(cookie.error());
  if (!*cookie) return failed(path + ": there is no such cookie file; " + remedy);
  return **std::move(cookie);
}

/// Those of the user's runs that can be reached.
std::vector<Server> reachable(const std::vector<Environment>& runs) {
  std::vector<Server> found;
  for (const Environment& run : runs) {
    const auto address = word_of(run, "TOKENPOOL_ADDR");
    const auto cookie = word_of(run, "TOKENPOOL_COOKIE");
    if (address && cookie) found.push_back({*address, *cookie});
  }
  return found;
}

/// Of a server whose address alone is known.
wire::Result<std::string> cookie_for(const Address& address, const ServerSources& sources) {
  const std::string name = to_string(address);
  for (Server& run : reachable(sources.runs())) {
    const auto known = addresses_in(run.address);
    if (std::find(known.begin(), known.end(), address) != known.end()) {
      return std::move(run.cookie);
    }
  }
  if (address.kind == Address::Kind::unix_socket) {
    return must_hold(sources, cookie_file_of(address.path),
                     "start the server at " + name + ", or name the socket of a tokenpool run " +
                         "of yours that lives");
  }
  if (const auto file = word_of(sources.environment, "TOKENPOOL_COOKIE_FILE")) {
    return must_hold(sources, *file, "set TOKENPOOL_COOKIE_FILE to the server's");
  }
  if (auto cookie = word_of(sources.environment, "TOKENPOOL_COOKIE")) return *std::move(cookie);
  return failed(name + ": its cookie is not known: give --cookie-file FILE, " +
                "TOKENPOOL_COOKIE_FILE or TOKENPOOL_COOKIE");
}

std::string in(const Surroundings& surroundings, std::string_view name) {
  for (const auto& [one, value] : surroundings.set) {
    if (one == name) return value;
  }
  return {};
}

tl::unexpected<wire::Error> barred(client::Reason reason, const std::string& address,
                                   const std::string& said = {}) {
  const bool nobody = reason == client::Reason::unreachable;
  const std::string seen = nobody ? why_nobody_answers(address) : said.empty() ? "" : ": " + said;
  const Barred found = explain(reason, address, seen);
  return failed(found.why + "; " + found.remedy);
}

struct Meant {
  std::string address;                ///< empty: nobody named one
  std::optional<std::string> cookie;  ///< none: to be looked for
};

Meant meant_server(const ServerWords& words, const ServerSources& sources) {
  const auto address = word_of(sources.environment, "TOKENPOOL_ADDR");
  const auto cookie = word_of(sources.environment, "TOKENPOOL_COOKIE");
  if (words.server) {
    const auto known = addresses_in(address.value_or(""));
    const bool same = std::find(known.begin(), known.end(), *words.server) != known.end();
    return {to_string(*words.server), same ? cookie : std::nullopt};
  }
  if (address) return {*address, cookie};
  if (const auto around = sources.surroundings()) {
    const std::string theirs = in(*around, "TOKENPOOL_ADDR");
    if (!theirs.empty()) return {theirs, in(*around, "TOKENPOOL_COOKIE")};
  }
  return {};
}

/// Nobody named an arbiter, and no server is at its default address: the one run that there is.
wire::Result<Server> only_run(const ServerSources& sources) {
  const std::string address = "unix:" + default_socket(sources.environment, sources.user);
  std::vector<Server> runs = reachable(sources.runs());
  if (runs.size() == 1) return std::move(runs.front());
  if (runs.empty()) {
    return failed(
        "there is no arbiter: TOKENPOOL_ADDR is not set, no pool surrounds this process, " +
        ("no server is at " + address) +
        ", and no tokenpool run of yours is in TMPDIR; start one with tokenpool serve, or give "
        "--server ADDR");
  }
  const auto pools = sources.look(runs);
  if (const auto only = only_living(pools)) return pools[*only].server;
  return failed(std::to_string(runs.size()) + " runs of yours live; give --run, one of " +
                named_pools(pools));
}

wire::Result<Server> named_run(const std::string& word, const ServerSources& sources) {
  const auto pools = own_pools(sources);
  if (!pools) return tl::make_unexpected(pools.error());
  const auto place = meant_pool(*pools, word, sources.here);
  if (!place) return tl::make_unexpected(place.error());
  return (*pools)[*place].server;
}

}  // namespace

wire::Result<Address> parse_server(const std::string& text) {
  const bool has_kind = text.starts_with("unix:") || text.starts_with("tcp:");
  if (has_kind || text.find('/') == std::string::npos) return wire::parse_address(text);
  std::error_code error;
  const auto path = std::filesystem::absolute(text, error);
  if (error) {
    return tl::make_unexpected(wire::Error{2, text + ": the current folder is not known (" +
                                                  error.message() + "); give a whole path"});
  }
  return wire::parse_address("unix:" + path.lexically_normal().string());
}

std::string default_socket(const Environment& environment, uid_t user) {
  std::string folder = value_of(environment, "XDG_RUNTIME_DIR").value_or("");
  if (!folder.starts_with('/')) {
    folder = user == 0 ? "/run" : "/run/user/" + std::to_string(user);
  }
  while (folder.ends_with('/')) folder.pop_back();
  return folder + "/tokenpool/socket";
}

std::string cookie_file_of(std::string_view socket_path) {
  return std::string(socket_path) + ".cookie";
}

wire::Result<std::optional<Server>> standing_server(const ServerSources& sources) {
  const auto address =
      wire::parse_address("unix:" + default_socket(sources.environment, sources.user));
  // A server that has ended leaves its cookie to the next one.
  if (!address || !sources.is_served(*address)) return std::nullopt;
  auto cookie = sources.cookie_in(cookie_file_of(address->path));
  if (!cookie) return tl::make_unexpected(cookie.error());
  if (!*cookie) return std::nullopt;
  return Server{to_string(*address), **std::move(cookie)};
}

bool names_arbiter(const ServerWords& words, const ServerSources& sources) {
  return words.run || words.cookie_file || !meant_server(words, sources).address.empty();
}

wire::Result<std::vector<LivePool>> own_pools(const ServerSources& sources) {
  std::vector<Server> servers = reachable(sources.runs());
  auto standing = standing_server(sources);
  if (!standing && servers.empty()) return tl::make_unexpected(standing.error());
  if (standing && *standing) servers.push_back(**std::move(standing));
  return sources.look(servers);
}

wire::Result<Server> find_server(const ServerWords& words, const ServerSources& sources) {
  if (words.run) return named_run(*words.run, sources);
  Meant meant = meant_server(words, sources);
  if (meant.address.empty() && words.cookie_file) {
    meant.address = "unix:" + default_socket(sources.environment, sources.user);
  } else if (meant.address.empty()) {
    auto standing = standing_server(sources);
    if (!standing) return tl::make_unexpected(standing.error());
    if (!*standing) return only_run(sources);
    meant = {(*standing)->address, (*standing)->cookie};
  }
  const auto addresses = addresses_in(meant.address);
  if (addresses.empty()) {
    return barred(client::Reason::bad_address, meant.address);
  }
  wire::Result<std::string> cookie = meant.cookie.value_or("");
  if (words.cookie_file) {
    cookie = must_hold(sources, *words.cookie_file, "give --cookie-file the server's");
  } else if (!meant.cookie) {
    cookie = cookie_for(addresses.front(), sources);
  }
  if (!cookie) return tl::make_unexpected(cookie.error());
  return Server{std::move(meant.address), *std::move(cookie)};
}

namespace {

std::string current_folder() {
  std::error_code error;
  return std::filesystem::current_path(error).string();
}

ServerSources own_sources() {
  return {proc::own_environment(),
          geteuid(),
          own_surroundings,
          own_runs,
          look_at_pools,
          current_folder(),
          [](const std::string& path) { return read_cookie_file(path); },
          proc::is_served};
}

}  // namespace

wire::Result<std::optional<Server>> standing_server() { return standing_server(own_sources()); }

wire::Result<Server> find_server(const ServerWords& words) {
  return find_server(words, own_sources());
}

bool names_arbiter(const ServerWords& words) { return names_arbiter(words, own_sources()); }

wire::Result<std::vector<LivePool>> own_pools() { return own_pools(own_sources()); }

Barred explain(client::Reason reason, const std::string& address, const std::string& seen) {
  const std::string eval = "set both as tokenpool env --server ADDR prints them";
  switch (reason) {
    case client::Reason::ok:
      break;
    case client::Reason::no_address:
      return {"no address is given", "give --server ADDR, or set TOKENPOOL_ADDR"};
    case client::Reason::bad_address:
      return {"'" + address + "' is no address of an arbiter",
              "give unix:/path or tcp:HOST:PORT, several with ; between them"};
    case client::Reason::no_cookie:
      return {address + ": TOKENPOOL_COOKIE is not set", eval};
    case client::Reason::bad_cookie:
      return {address + ": the cookie is none, which would be 64 hexadecimal digits", eval};
    case client::Reason::unreachable:
      return {"nobody answers at " + address + seen, "start the server, or name another one"};
    case client::Reason::refused:
      return {"the arbiter at " + address + " refuses us" + seen, eval};
    case client::Reason::incompatible:
      return {"the arbiter at " + address + " does not speak version 1 of the protocol",
              "use a tokenpool of its version"};
    case client::Reason::no_answer:
      return {"whoever listens at " + address + " does not answer as an arbiter" + seen,
              "look what listens there, or name another one"};
  }
  return {};
}

wire::Result<std::unique_ptr<client::Pool>> connect(const Server& server, const std::string& name) {
  client::Options options;
  options.name = name;
  options.address = server.address;
  options.cookie = server.cookie;
  options.lease = 0;
  options.protocol_only = true;
  auto pool = client::Pool::connect(options);
  if (pool->reason() == client::Reason::ok) return pool;
  return barred(pool->reason(), server.address, pool->reason_text());
}

wire::Error call_failed(const Server& server, const client::Error& error) {
  if (error.code == 0) {
    return {1, "the connection to the arbiter at " + server.address +
                   " ended before its answer; see whether it still runs"};
  }
  return {1, "the arbiter at " + server.address + " refuses: " + error.message};
}

}  // namespace tokenpool::cli
