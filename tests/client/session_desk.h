// A session with a scripted arbiter at its other end: lines in, lines out, a clock that is set.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/session.h"

namespace tokenpool::client {

using namespace std::chrono_literals;  // NOLINT

inline constexpr std::string_view kCookie =
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

class SessionDesk {
 public:
  SessionDesk() : session(hello(), 5s) {}

  static wire::HelloCall hello() {
    wire::HelloCall hello;
    hello.cookie = kCookie;
    hello.name = "test";
    hello.process = {.pid = 4711, .start = 99};
    return hello;
  }

  // What the session has sent since the last time, as the arbiter's codec reads it.
  std::vector<wire::CallRequest> sent() {
    std::vector<wire::CallRequest> calls;
    std::string bytes = std::exchange(*session.output(), {});
    while (!bytes.empty()) {
      const std::size_t end = bytes.find('\n');
      EXPECT_NE(end, std::string::npos) << "a line without its end: " << bytes;
      if (end == std::string::npos) break;
      auto parsed = wire::parse_request(std::string_view(bytes).substr(0, end));
      auto* request = std::get_if<wire::CallRequest>(&parsed);
      EXPECT_NE(request, nullptr) << bytes.substr(0, end);
      if (request != nullptr) calls.push_back(std::move(*request));
      bytes.erase(0, end + 1);
    }
    return calls;
  }

  // The one call that it has sent.
  template <typename Call>
  Call only(wire::CallId* id = nullptr) {
    const auto calls = sent();
    EXPECT_EQ(calls.size(), 1U);
    if (calls.size() != 1) return {};
    const Call* call = std::get_if<Call>(&calls.front().call);
    EXPECT_NE(call, nullptr) << "another call";
    if (call == nullptr) return {};
    if (id != nullptr) *id = calls.front().id;
    return *call;
  }

  void say(const std::string& line) { session.received(line + "\n", now); }
  void result(Ticket id, const std::string& members) {
    say("{\"jsonrpc\":\"2.0\",\"id\":" + std::to_string(id) + ",\"result\":{" + members + "}}");
  }
  void error(Ticket id, int code) {
    say("{\"jsonrpc\":\"2.0\",\"id\":" + std::to_string(id) +
        ",\"error\":{\"code\":" + std::to_string(code) + ",\"message\":\"because\"}}");
  }
  void notify(const std::string& method, const std::string& params) {
    say("{\"jsonrpc\":\"2.0\",\"method\":\"" + method + "\",\"params\":" + params + "}");
  }

  // A connection whose hello is answered; `more` are members of the answer.
  wire::HelloCall connect(const std::string& more = "") {
    session.opened(now);
    const auto hello = only<wire::HelloCall>();
    result(0, R"("session":3,"server":"fake","protocol":1,"slots":4,"epoch":"e")" + more);
    EXPECT_TRUE(session.up());
    return hello;
  }

  LeaseKey grant(Ticket ticket, std::uint64_t lease, int slots) {
    result(ticket, "\"lease\":" + std::to_string(lease) + ",\"slots\":" + std::to_string(slots));
    const auto taken = session.take(ticket);
    EXPECT_TRUE(taken && *taken);
    return taken && *taken ? **taken : 0;
  }

  LeaseKey acquire(std::uint64_t lease, int slots = 1) {
    Wanted wanted;
    wanted.max = slots;
    const Ticket ticket = session.begin(wanted, now);
    sent();
    return grant(ticket, lease, slots);
  }

  // The code that a request failed with; none: it has not failed.
  std::optional<int> code(Ticket ticket) {
    const auto taken = session.take(ticket);
    if (!taken || *taken) return std::nullopt;
    return taken->error().code;
  }

  void lose() {
    session.closed(now);
    sent();
  }

  Instant now = 1000s;
  Session session;
};

}  // namespace tokenpool::client
