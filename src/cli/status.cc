#include "cli/status.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "cli/help.h"
#include "cli/live_pools.h"
#include "cli/pid_numbers.h"
#include "cli/recent_ends.h"
#include "cli/screen.h"
#include "cli/server_address.h"
#include "cli/status_options.h"
#include "cli/status_text.h"
#include "cli/terminal.h"
#include "wire/protocol_codec.h"

namespace tokenpool::cli {
namespace {

using Clock = std::chrono::steady_clock;

// Ages grow without an event; a crowd of events is one new picture. A picture of 64 jobs costs the
// arbiter 1.3 ms.
constexpr auto kRefresh = std::chrono::seconds(1);
constexpr auto kLeastApart = std::chrono::milliseconds(250);

const wire::Error kNoStatus{1, "the arbiter's answer is no status: is it another version?"};

StatusView view_of_stdout() {
  const auto screen = screen_size();
  return {screen ? screen->columns : kWholeLines, use_colour(stdout)};
}

int show(const std::string& result, const Server& server, bool json) {
  if (json) {
    const auto text = status_json(result);
    return text ? (print(stdout, *text) ? 0 : 1) : fail("status", text.error());
  }
  const auto status = wire::parse_status(result);
  if (!status) return fail("status", kNoStatus);
  return print(stdout, to_text(*status, server.address, view_of_stdout())) ? 0 : 1;
}

int show_once(client::Pool& pool, const Server& server, bool json) {
  auto result = pool.status();
  if (!result) return fail("status", call_failed(server, result.error()));
  return show(in_own_numbers(*std::move(result), pool.fd()), server, json);
}

int gone(const Server& server) {
  return fail("status", {0, "the arbiter at " + server.address + " has gone"});
}

std::optional<std::string> next_event(client::Pool& pool) {
  while (auto notice = pool.take_notice()) {
    if (notice->kind == client::Notice::Kind::event) return std::move(notice->params);
  }
  return std::nullopt;
}

std::string time_of_day() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  std::array<char, 16> text{};
  const std::size_t size = std::strftime(text.data(), text.size(), "%H:%M:%S ", &local);
  return {text.data(), size};
}

int tell_events(client::Pool& pool, const Server& server, bool json) {
  const Screen screen(false);
  const auto result = pool.status();
  if (!result) return fail("status", call_failed(server, result.error()));
  const auto status = wire::parse_status(*result);
  if (!status) return fail("status", kNoStatus);
  if (!print(stdout, json ? state_json(*result) : time_of_day() + state_text(*status))) return 1;
  while (true) {
    while (const auto params = next_event(pool)) {
      if (!print(stdout, json ? event_json(*params) : time_of_day() + event_text(*params))) {
        return 1;
      }
    }
    if (!pool.connected()) return gone(server);
    pool.wait(std::nullopt);
  }
}

int draw_events(client::Pool& pool, const Server& server) {
  Screen screen(true);
  RecentEnds ends;
  Clock::time_point due = Clock::now();
  Clock::time_point soonest = due;
  while (true) {
    const auto now = Clock::now();
    if (now < due) {
      if (screen.wait_for_key(pool, std::chrono::ceil<std::chrono::milliseconds>(due - now))) {
        return 0;
      }
      if (!pool.connected()) return gone(server);
      while (next_event(pool)) due = soonest;
      continue;
    }
    auto result = pool.status();
    if (!result && result.error().code == 0) return gone(server);
    if (!result) return fail("status", call_failed(server, result.error()));
    const auto status = wire::parse_status(in_own_numbers(*std::move(result), pool.fd()));
    if (!status) return fail("status", kNoStatus);
    StatusView view = view_of_stdout();
    view.rows = screen.rows();
    ends.look(*status, now);
    if (!screen.draw(to_text(*status, server.address, view, ends.jobs()))) return 1;
    soonest = Clock::now() + kLeastApart;
    due = soonest + (kRefresh - kLeastApart);
  }
}

int watch(client::Pool& pool, const Server& server, bool json) {
  const auto subscribed = pool.call("subscribe", "{}");
  if (!subscribed) return fail("status", call_failed(server, subscribed.error()));
  return !json && can_draw() ? draw_events(pool, server) : tell_events(pool, server, json);
}

int look(const Server& server, const StatusOptions& options) {
  const auto pool = connect(server, "tokenpool status");
  if (!pool) return fail("status", pool.error());
  return options.watch ? watch(**pool, server, options.json)
                       : show_once(**pool, server, options.json);
}

/// Nobody has named one: all that there are, or the only one.
int look_at_all(const StatusOptions& options) {
  const auto pools = own_pools();
  if (!pools) return fail("status", pools.error());
  if (options.watch) {
    if (const auto only = only_living(*pools)) return look((*pools)[*only].server, options);
  }
  const bool one = pools->size() == 1 && pools->front().status && !options.all;
  if (one) return look(pools->front().server, options);
  if (pools->empty() && !options.all) {
    const auto none = find_server(options.server);
    return none ? look(*none, options) : fail("status", none.error());
  }
  if (options.watch) {
    return fail("status",
                {1, "several pools live: watch which? give one of " + named_pools(*pools)});
  }
  const std::string list = options.json ? pools_json(*pools) : pools_text(*pools, view_of_stdout());
  if (!print(stdout, list)) return 1;
  // What follows is for who reads the list on a terminal.
  if (!options.json && pools->size() > 1 && screen_size()) {
    print(stdout, "\nOne of them: tokenpool status NUMBER, PID or FOLDER\n");
  }
  return 0;
}

}  // namespace

int status(const std::vector<std::string>& words) {
  const auto options = parse_status_options("status", words);
  if (!options) return fail("status", options.error());
  if (options->help) return print(stdout, help_text("status", use_colour(stdout))) ? 0 : 1;
  if (options->all || !names_arbiter(options->server)) return look_at_all(*options);
  const auto server = find_server(options->server);
  if (!server) return fail("status", server.error());
  return look(*server, *options);
}

}  // namespace tokenpool::cli
