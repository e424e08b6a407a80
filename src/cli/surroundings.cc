#include "cli/surroundings.h"

#include <algorithm>
#include <map>

#include "jobserver/environment.h"

namespace tokenpool::cli {
namespace {

/// An environment may hold any bytes as a name, and the answer is given to a shell's eval.
bool is_shell_name(std::string_view name) {
  const auto fits = [](char letter) {
    return letter == '_' || (letter >= 'A' && letter <= 'Z') || (letter >= 'a' && letter <= 'z') ||
           (letter >= '0' && letter <= '9');
  };
  return !name.empty() && (name.front() < '0' || name.front() > '9') &&
         std::all_of(name.begin(), name.end(), fits);
}

std::map<std::string, std::string> pool_variables(const Environment& environment) {
  std::map<std::string, std::string> variables;
  for (const std::string& one : environment) {
    const std::string name = one.substr(0, one.find('='));
    if (name.size() == one.size() || !is_shell_name(name) || !jobserver::concerns_pool(name))
      continue;
    variables.emplace(name, one.substr(name.size() + 1));  // getenv(3), too, sees the first only
  }
  return variables;
}

std::string in_quotes(const std::string& value) {
  std::string text = "'";
  for (const char letter : value)
    text += letter == '\'' ? std::string("'\\''") : std::string(1, letter);
  return text + "'";
}

}  // namespace

std::optional<std::string> value_of(const Environment& environment, std::string_view name) {
  for (const std::string& one : environment) {
    if (one.size() > name.size() && one[name.size()] == '=' && one.starts_with(name)) {
      return one.substr(name.size() + 1);
    }
  }
  return std::nullopt;
}

std::optional<Surroundings> find_surroundings(
    const Environment& own, const std::vector<Environment>& ancestors,
    const std::function<bool(const std::string& fifo)>& is_alive) {
  std::string fifo;
  const Environment* composed = nullptr;
  const auto look_at = [&](const Environment& environment) {
    const std::string named = value_of(environment, "TOKENPOOL_FIFO").value_or("");
    if (named.empty() || (composed == nullptr ? !is_alive(named) : named != fifo)) return;
    fifo = named;
    composed = &environment;
  };
  look_at(own);
  for (const Environment& environment : ancestors) look_at(environment);
  if (composed == nullptr) return std::nullopt;

  Surroundings surroundings;
  surroundings.fifo = fifo;
  std::map<std::string, std::string> variables = pool_variables(*composed);
  for (const auto& [name, value] : pool_variables(own)) {
    if (!variables.contains(name)) surroundings.unset.push_back(name);
  }
  const std::string shims = value_of(*composed, "TOKENPOOL_SHIMS").value_or("");
  std::string path = value_of(own, "PATH").value_or("");
  if (path.empty())
    path = value_of(*composed, "PATH").value_or("");  // shims alone would hide all tools
  if (!shims.empty() && path != shims && !path.starts_with(shims + ":")) path = shims + ":" + path;
  if (!shims.empty() && path != value_of(own, "PATH").value_or("")) variables["PATH"] = path;
  surroundings.set.assign(variables.begin(), variables.end());
  return surroundings;
}

std::string to_shell(const Surroundings& surroundings) {
  std::string text;
  bool has_path = false;
  std::string shims;
  for (const auto& [name, value] : surroundings.set) {
    text += "export " + name + "=" + in_quotes(value) + "\n";
    has_path = has_path || name == "PATH";
    if (name == "TOKENPOOL_SHIMS") shims = value;
  }
  // The shell that reads it may have another PATH than this process.
  if (!has_path && !shims.empty()) {
    text += "case $PATH in " + in_quotes(shims) + ":*) ;; *) export PATH=" + in_quotes(shims) +
            "\"${PATH:+:$PATH}\" ;; esac\n";
  }
  for (const std::string& name : surroundings.unset) text += "unset " + name + "\n";
  return text;
}

}  // namespace tokenpool::cli
