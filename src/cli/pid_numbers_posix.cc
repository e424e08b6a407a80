#include <unordered_map>

#include <nlohmann/json.hpp>

#include "cli/pid_numbers.h"
#include "proc/peer.h"
#include "proc/pid_view.h"

namespace tokenpool::cli {
namespace {

using Json = nlohmann::ordered_json;

void renumber(Json* json, const std::unordered_map<pid_t, pid_t>& own) {
  for (auto& [name, value] : json->items()) {
    if (value.is_structured()) {
      renumber(&value, own);
    } else if ((name == "pid" || name == "holder") && value.is_number_integer()) {
      const auto number = own.find(value.get<pid_t>());
      value = number == own.end() ? 0 : number->second;
    }
  }
}

}  // namespace

std::string in_own_numbers(std::string result, int socket) {
  const auto peer = socket < 0 ? std::nullopt : proc::peer_of(socket);
  if (!peer || !peer->process) return result;
  const auto own = proc::own_pids_of(peer->process->pid);
  if (own.empty()) return result;
  Json json = Json::parse(result, nullptr, false);
  if (!json.is_object()) return result;
  renumber(&json, own);
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace tokenpool::cli
