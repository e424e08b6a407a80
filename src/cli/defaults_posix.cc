#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include <unistd.h>

#include "cli/command_line.h"
#include "cli/defaults.h"
#include "cli/run_words.h"
#include "proc/environ.h"
#include "proc/file.h"

namespace tokenpool::cli {
namespace {

// Nobody writes more by hand.
constexpr std::size_t kMaxDefaults = 1U << 16;

std::string usual_file(const Defaults& defaults) {
  const auto base = variable_of(defaults, "XDG_CONFIG_HOME");
  if (base && base->starts_with('/')) return *base + "/tokenpool/config.toml";
  const auto home = variable_of(defaults, "HOME");
  return home && home->starts_with('/') ? *home + "/.config/tokenpool/config.toml" : "";
}

std::optional<ConfigText> read_if_trusted(const std::string& file, uid_t user, Defaults* defaults) {
  proc::TrustedText read = proc::read_trusted(file, user, kMaxDefaults);
  if (!read.is_there) return std::nullopt;
  if (read.why_not.empty()) return ConfigText{file, std::move(read.text)};
  defaults->notes.push_back("the configuration " + file + " is ignored: " + read.why_not);
  return std::nullopt;
}

std::optional<ConfigText> project_file(std::string folder, uid_t user, Defaults* defaults) {
  while (folder.starts_with('/')) {
    if (folder.back() != '/') folder += '/';
    if (auto found = read_if_trusted(folder + std::string(kProjectFile), user, defaults)) {
      return found;
    }
    folder.pop_back();
    folder.resize(folder.rfind('/') + 1);  // npos + 1 is 0: that was the root
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> variable_of(const Defaults& defaults, std::string_view name) {
  auto value = value_of(defaults.variables, name);
  if (value && value->empty()) value.reset();
  return value;
}

wire::Result<Defaults> find_defaults(Environment variables, const std::string& folder, uid_t user) {
  Defaults defaults;
  defaults.variables = std::move(variables);
  const auto named = variable_of(defaults, "TOKENPOOL_CONFIG");
  if (named == "off") return defaults;
  if (named) {
    proc::TrustedText read = proc::read_trusted(*named, user, kMaxDefaults);
    if (!read.is_there || !read.why_not.empty()) {
      return usage("TOKENPOOL_CONFIG=" + *named + ": " +
                   (read.is_there ? read.why_not : "there is no such file") +
                   "; give a file of yours, or off");
    }
    defaults.user = {*named, std::move(read.text)};
  } else if (const std::string file = usual_file(defaults); !file.empty()) {
    defaults.user = read_if_trusted(file, user, &defaults);
  }
  defaults.project = project_file(folder, user, &defaults);
  return defaults;
}

wire::Result<Defaults> own_defaults() {
  std::error_code error;
  const auto folder = std::filesystem::current_path(error);
  return find_defaults(proc::own_environment(), error ? std::string() : folder.string(),
                       ::geteuid());
}

bool is_in_build(const Defaults& defaults) {
  return variable_of(defaults, "TOKENPOOL_FIFO").has_value();
}

void forget_run_variables() {
  const bool in_build = !proc::own_variable("TOKENPOOL_FIFO").empty();
  for (const std::string& name : run_variables(in_build)) ::unsetenv(name.c_str());
}

}  // namespace tokenpool::cli
