#include "cli/status.h"

#include <chrono>
#include <cstdio>
#include <optional>
#include <string_view>
#include <utility>

#include "cli/help.h"
#include "cli/screen.h"
#include "cli/server_address.h"
#include "cli/status_options.h"
#include "cli/status_text.h"
#include "cli/terminal.h"
#include "wire/protocol_codec.h"

namespace tokenpool::cli {
namespace {

using Clock = std::chrono::steady_clock;

// Ages grow without an event; a crowd of events is one new picture.
constexpr auto kRefresh = std::chrono::seconds(1);
constexpr auto kLeastApart = std::chrono::milliseconds(100);

wire::Result<std::string> text_of_status(std::string_view result, const Server& server,
                                         const StatusView& view) {
  const auto status = wire::parse_status(result);
  if (status) return to_text(*status, server.address, view);
  return tl::make_unexpected(
      wire::Error{1, "the arbiter's answer is no status: is it another version?"});
}

StatusView view_of_stdout() {
  const auto screen = screen_size();
  return {screen ? screen->columns : kWholeLines, use_colour(stdout)};
}

int show_once(client::Pool& pool, const Server& server, bool json) {
  const auto result = pool.status();
  if (!result) return fail("status", call_failed(server, result.error()));
  const auto text = json ? status_json(*result) : text_of_status(*result, server, view_of_stdout());
  if (!text) return fail("status", text.error());
  return print(stdout, *text) ? 0 : 1;
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

int tell_events(client::Pool& pool, const Server& server, bool json) {
  const Screen screen(false);
  while (true) {
    while (const auto params = next_event(pool)) {
      if (!print(stdout, json ? event_json(*params) : event_text(*params))) return 1;
    }
    if (!pool.connected()) return gone(server);
    pool.wait(std::nullopt);
  }
}

int draw_events(client::Pool& pool, const Server& server) {
  Screen screen(true);
  Clock::time_point due = Clock::now();
  Clock::time_point soonest = due;
  while (true) {
    const auto now = Clock::now();
    if (now < due) {
      pool.wait(std::chrono::ceil<std::chrono::milliseconds>(due - now));
      if (!pool.connected()) return gone(server);
      while (next_event(pool)) due = soonest;
      continue;
    }
    const auto result = pool.status();
    if (!result && result.error().code == 0) return gone(server);
    if (!result) return fail("status", call_failed(server, result.error()));
    const auto text = text_of_status(*result, server, view_of_stdout());
    if (!text) return fail("status", text.error());
    if (!screen.draw(*text)) return 1;
    soonest = Clock::now() + kLeastApart;
    due = soonest + (kRefresh - kLeastApart);
  }
}

int watch(client::Pool& pool, const Server& server, bool json) {
  const auto subscribed = pool.call("subscribe", "{}");
  if (!subscribed) return fail("status", call_failed(server, subscribed.error()));
  const bool draws = !json && screen_size().has_value();
  return draws ? draw_events(pool, server) : tell_events(pool, server, json);
}

}  // namespace

int status(const std::vector<std::string>& words) {
  const auto options = parse_status_options("status", words);
  if (!options) return fail("status", options.error());
  if (options->help) return print(stdout, help_text("status", use_colour(stdout))) ? 0 : 1;
  const auto server = find_server(options->server);
  if (!server) return fail("status", server.error());
  const auto pool = connect(*server, "tokenpool status");
  if (!pool) return fail("status", pool.error());
  return options->watch ? watch(**pool, *server, options->json)
                        : show_once(**pool, *server, options->json);
}

}  // namespace tokenpool::cli
