#include "cli/set.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "cli/command_line.h"
#include "cli/help.h"
#include "cli/server_address.h"
#include "cli/status_options.h"
#include "cli/suggest.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "core/limits.h"
#include "wire/limits.h"

namespace tokenpool::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kLimit = "limit.";
constexpr std::string_view kLease = "lease.";

/// All of `text`, a number from `low` to the most slots of a pool.
std::optional<int> number_from(std::string_view text, int low) {
  const auto value = number_of(text);
  if (!value || *value < low || *value > core::kMaxSlots) return std::nullopt;
  return static_cast<int>(*value);
}

std::string unknown_key(const std::string& word, const std::string& key) {
  const std::array<std::string, 6> known{"jobs", "slots", "limit", "lease", "paused", "resume"};
  const std::string near = nearest(key.substr(0, key.find('.')), known);
  std::string hint = "the keys are jobs, limit.TYPE and lease.N";
  if (near == "jobs" || near == "slots") hint = "the nearest is jobs";
  if (near == "limit") hint = "the nearest is limit.TYPE, for example limit.link";
  if (near == "lease") hint = "the nearest is lease.N, for example lease.7=0";
  if (near == "paused" || near == "resume") hint = "see tokenpool pause and tokenpool resume";
  return word + ": no such key (" + hint + "); see tokenpool set --help";
}

wire::Result<void> read_limit(const std::string& word, const std::string& type,
                              const std::string& value, wire::SetCall* call) {
  if (!wire::is_type(type)) {
    return usage(word + ": no name of a type, give at most " + std::to_string(wire::kMaxTypeBytes) +
                 " letters, digits, _ . and -, for example limit.link=2");
  }
  const auto limit = number_from(value, 0);
  if (!limit && value != "none") {
    return usage(word + ": no limit, give 0-" + std::to_string(core::kMaxSlots) + " or none");
  }
  const auto same = [&](const auto& one) { return one.first == type; };
  call->limits.erase(std::remove_if(call->limits.begin(), call->limits.end(), same),
                     call->limits.end());
  call->limits.emplace_back(type, limit);
  return {};
}

wire::Result<void> read_lease(const std::string& word, const std::string& number,
                              const std::string& value, wire::SetCall* call) {
  const auto lease = number_of(number);
  if (!lease || *lease < 1 || static_cast<std::uint64_t>(*lease) > core::kMaxNumber) {
    return usage(word + ": no number of a lease, tokenpool status shows them; give lease.7=0");
  }
  if (value != "0")
    return usage(word + ": a lease is only ended here, give lease." + number + "=0");
  const auto named = static_cast<std::uint64_t>(*lease);
  if (call->ended_lease != 0 && call->ended_lease != named) {
    return usage(word + ": lease " + std::to_string(call->ended_lease) +
                 " is to end, too; give one lease at a time");
  }
  call->ended_lease = named;
  return {};
}

wire::Result<void> read_word(const std::string& word, wire::SetCall* call) {
  const std::size_t equals = word.find('=');
  const std::string key = word.substr(0, equals);
  const bool is_limit = key.starts_with(kLimit);
  const bool is_lease = key.starts_with(kLease);
  if (key != "jobs" && !is_limit && !is_lease) return usage(unknown_key(word, key));
  if (equals == std::string::npos) {
    const char* example = is_limit ? "=2 or =none" : is_lease ? "=0" : "=4";
    return usage(word + ": no value, give " + word + example);
  }
  const std::string value = word.substr(equals + 1);
  if (is_lease) return read_lease(word, key.substr(kLease.size()), value, call);
  if (is_limit) return read_limit(word, key.substr(kLimit.size()), value, call);
  call->slots = number_from(value, 1);
  if (!call->slots && (value == "auto" || value.find('-', 1) != std::string::npos)) {
    return usage(word + ": a running pool is only given a number of slots, 1-" +
                 std::to_string(core::kMaxSlots) + "; begin it with -j " + value);
  }
  if (!call->slots) {
    return usage(word + ": no number of slots, give 1-" + std::to_string(core::kMaxSlots));
  }
  return {};
}

/// Finds the arbiter, tells it, and prints what is now.
int carry_out(const std::string& command, const ServerWords& words, const wire::SetCall& call) {
  const auto server = find_server(words);
  if (!server) return fail(command, server.error());
  const auto pool = connect(*server, "tokenpool " + command);
  if (!pool) return fail(command, pool.error());
  const auto result = (*pool)->call("set", set_params(call));
  if (!result) return fail(command, call_failed(*server, result.error()));
  const auto text = set_text(*result);
  if (!text) return fail(command, text.error());
  return print(stdout, *text + "\n") ? 0 : 1;
}

int set_paused(const std::string& command, const std::vector<std::string>& words, bool paused) {
  const auto options = parse_status_options(command, words);
  if (!options) return fail(command, options.error());
  if (options->help) return print(stdout, help_text(command, use_colour(stdout))) ? 0 : 1;
  wire::SetCall call;
  call.paused = paused;
  return carry_out(command, options->server, call);
}

}  // namespace

int set(const std::vector<std::string>& words) {
  const auto options = parse_status_options("set", words);
  if (!options) return fail("set", options.error());
  if (options->help) return print(stdout, help_text("set", use_colour(stdout))) ? 0 : 1;
  const auto call = parse_set(options->words);
  if (!call) return fail("set", call.error());
  return carry_out("set", options->server, *call);
}

int pause(const std::vector<std::string>& words) { return set_paused("pause", words, true); }

int resume(const std::vector<std::string>& words) { return set_paused("resume", words, false); }

wire::Result<wire::SetCall> parse_set(const std::vector<std::string>& words) {
  if (words.empty()) {
    return usage("nothing to set: give KEY=VALUE, for example jobs=4 or limit.link=2");
  }
  wire::SetCall call;
  for (const std::string& word : words) {
    const auto read = read_word(word, &call);
    if (!read) return tl::make_unexpected(read.error());
  }
  if (call.limits.size() > core::kMaxLimits) {
    return usage(std::to_string(call.limits.size()) + " limits: an arbiter has at most " +
                 std::to_string(core::kMaxLimits) + ", give fewer");
  }
  return call;
}

std::string set_params(const wire::SetCall& call) {
  Json params = Json::object();
  if (call.slots) params["slots"] = *call.slots;
  if (!call.limits.empty()) {
    Json& limits = params["limits"] = Json::object();
    for (const auto& [type, limit] : call.limits) limits[type] = limit ? Json(*limit) : Json();
  }
  if (call.paused) params["paused"] = *call.paused;
  if (call.ended_lease != 0) params["lease"] = call.ended_lease;
  return params.dump();
}

wire::Result<std::string> set_text(std::string_view result) {
  const Json json = Json::parse(result, nullptr, false);
  const wire::Error other{1, "the arbiter's answer is none to set: is it another version?"};
  if (!json.is_object() || !json.contains("slots") || !json["slots"].is_number_integer()) {
    return tl::make_unexpected(other);
  }
  std::string text = "slots " + json["slots"].dump();
  std::string limits;
  if (const auto list = json.find("limits"); list != json.end() && list->is_array()) {
    for (const Json& one : *list) {
      if (!one.is_object() || !one.contains("type") || !one["type"].is_string() ||
          !one.contains("limit") || !one["limit"].is_number_integer()) {
        return tl::make_unexpected(other);
      }
      limits += " " + clean_line(one["type"].get<std::string>()) + "=" + one["limit"].dump();
    }
  }
  text += limits.empty() ? ", no limits" : ", limits" + limits;
  if (const auto paused = json.find("paused"); paused != json.end() && *paused == true) {
    text += ", paused";
  }
  return text;
}

}  // namespace tokenpool::cli
