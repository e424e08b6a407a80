#include "cli/live_pools.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <utility>

#include <nlohmann/json.hpp>

#include "cli/status_text.h"
#include "cli/table.h"
#include "tokenpool/client.hpp"
#include "wire/protocol_codec.h"

namespace tokenpool::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr auto kPatience = std::chrono::seconds(1);

LivePool look_at(const Server& server) {
  LivePool found{server, std::nullopt, {}};
  client::Options options;
  options.name = "tokenpool status";
  options.patience = kPatience;
  options.address = server.address;
  options.cookie = server.cookie;
  options.lease = 0;
  options.protocol_only = true;
  const auto pool = client::Pool::connect(options);
  if (pool->reason() != client::Reason::ok) return found;
  auto result = pool->status();
  if (!result) return found;
  found.status = wire::parse_status(*result);
  found.result = *std::move(result);
  return found;
}

std::int64_t age_of(const LivePool& pool) {
  if (!pool.status) return -1;
  return pool.status->run ? pool.status->run->age_ms : pool.status->uptime_ms;
}

std::string build_folder_of(const LivePool& pool) {
  return pool.status && pool.status->run ? pool.status->run->folder : std::string();
}

std::string command_of(const LivePool& pool) {
  if (!pool.status) return "does not answer, at " + clean_line(pool.server.address);
  return pool.status->run ? clean_line(pool.status->run->command) : "tokenpool serve";
}

std::optional<std::int32_t> number_in(const std::string& word) {
  std::int32_t number = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  const bool whole = error == std::errc() && end == word.data() + word.size() && number > 0;
  return whole ? std::optional(number) : std::nullopt;
}

bool has_pid(const LivePool& pool, std::int32_t pid) {
  if (!pool.status) return false;
  return pool.status->pid == pid || (pool.status->run && pool.status->run->pid == pid);
}

std::string state_of(const LivePool& pool) {
  if (!pool.status) return "silent";
  const wire::StatusResult& status = *pool.status;
  if (pool.over()) {
    const auto left = std::count_if(status.jobs.begin(), status.jobs.end(),
                                    [](const wire::JobRow& job) { return job.holder == 0; });
    return "over, " + std::to_string(left) + " left";
  }
  if (status.draining) return "ending";
  if (status.paused) return "paused";
  return status.run ? "runs" : "serves";
}

}  // namespace

std::vector<LivePool> look_at_pools(const std::vector<Server>& servers) {
  std::vector<LivePool> pools;
  pools.reserve(servers.size());
  for (const Server& server : servers) {
    LivePool pool = look_at(server);
    const bool known = std::any_of(pools.begin(), pools.end(), [&](const LivePool& other) {
      return pool.status && other.status && !pool.status->epoch.empty() &&
             pool.status->epoch == other.status->epoch;
    });
    if (!known) pools.push_back(std::move(pool));
  }
  std::sort(pools.begin(), pools.end(), [](const LivePool& a, const LivePool& b) {
    return std::pair(-age_of(a), a.server.address) < std::pair(-age_of(b), b.server.address);
  });
  return pools;
}

wire::Result<std::size_t> meant_pool(const std::vector<LivePool>& pools, const std::string& word,
                                     const std::string& here) {
  if (const auto number = number_in(word)) {
    if (static_cast<std::size_t>(*number) <= pools.size()) return *number - 1;
    for (std::size_t i = 0; i < pools.size(); ++i) {
      if (has_pid(pools[i], *number)) return i;
    }
  }
  namespace fs = std::filesystem;
  std::string path = (fs::path(here) / word).lexically_normal().string();
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  std::vector<std::size_t> found;
  for (const bool whole : {true, false}) {
    for (std::size_t i = 0; i < pools.size() && (whole || found.empty()); ++i) {
      const std::string folder = build_folder_of(pools[i]);
      if (folder.empty()) continue;
      if (whole ? folder == path : fs::path(folder).filename() == word) found.push_back(i);
    }
    if (!found.empty()) break;
  }
  if (found.size() > 1 && std::count_if(found.begin(), found.end(),
                                        [&](std::size_t i) { return !pools[i].over(); }) == 1) {
    std::erase_if(found, [&](std::size_t i) { return pools[i].over(); });
  }
  if (found.size() == 1) return found.front();
  std::string sentence = clean_line(word) + ": " + (found.empty() ? "no" : "more than one") +
                         " pool of yours is called so; ";
  sentence += pools.empty() ? "none is running" : "give one of " + named_pools(pools);
  return tl::make_unexpected(wire::Error{1, std::move(sentence)});
}

std::optional<std::size_t> only_living(const std::vector<LivePool>& pools) {
  std::optional<std::size_t> only;
  for (std::size_t i = 0; i < pools.size(); ++i) {
    if (!pools[i].status || pools[i].over()) continue;
    if (only) return std::nullopt;
    only = i;
  }
  return only;
}

std::string named_pools(const std::vector<LivePool>& pools) {
  constexpr std::size_t kMostOfCommand = 30;
  std::string text;
  for (std::size_t i = 0; i < pools.size(); ++i) {
    const std::string folder = clean_line(build_folder_of(pools[i]));
    text += (i == 0 ? "" : ", ") + std::to_string(i + 1) + " " +
            cut(command_of(pools[i]), kMostOfCommand) + (pools[i].over() ? " (over)" : "") +
            (folder.empty() ? "" : " in " + folder);
  }
  return text;
}

std::string pools_text(const std::vector<LivePool>& pools, const StatusView& view) {
  constexpr std::size_t kMostOfFolder = 26;  // leaves a command as much on 80 columns
  Page page(view);
  std::vector<std::vector<std::string>> rows;
  for (std::size_t i = 0; i < pools.size(); ++i) {
    const LivePool& pool = pools[i];
    const wire::StatusResult status = pool.status.value_or(wire::StatusResult{});
    const std::int32_t pid = status.run && status.run->pid != 0 ? status.run->pid : status.pid;
    const bool known = pool.status.has_value();
    rows.push_back({std::to_string(i + 1), pid == 0 ? "?" : std::to_string(pid),
                    known ? std::to_string(status.slots) : "",
                    known ? std::to_string(status.free) : "", known ? age_text(age_of(pool)) : "",
                    state_of(pool), clean_line(build_folder_of(pool)), command_of(pool)});
  }
  const std::size_t folder = view.columns == kWholeLines ? 0 : kMostOfFolder;
  for (const std::string& line : lay_out({{"#", 0, true},
                                          {"PID", 0, true},
                                          {"SLOTS", 0, true},
                                          {"FREE", 0, true},
                                          {"SINCE", 0, true},
                                          {"STATE"},
                                          {"FOLDER", folder, false, true},
                                          {"COMMAND"}},
                                         rows, view.columns)) {
    page.line(line);
  }
  if (rows.empty()) page.line("no pool of yours is running");
  return page.text();
}

std::string pools_json(const std::vector<LivePool>& pools) {
  Json list = Json::array();
  for (std::size_t i = 0; i < pools.size(); ++i) {
    Json one = {{"number", i + 1}, {"address", pools[i].server.address}};
    const Json members = Json::parse(pools[i].result, nullptr, false);
    if (members.is_object()) one.update(members);
    list.push_back(std::move(one));
  }
  const Json json = {{"schema", "tokenpool-pools"}, {"version", 1}, {"pools", list}};
  return wire::clean_json(json.dump(2, ' ', false, Json::error_handler_t::replace)) + "\n";
}

}  // namespace tokenpool::cli
