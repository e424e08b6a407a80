#include <algorithm>
#include <array>
#include <functional>
#include <string_view>

#include "cli/command_line.h"
#include "cli/exec_options.h"
#include "cli/exec_values.h"

namespace tokenpool::cli {
namespace {

/// A default of `exec`, by its names.
struct ExecKey {
  ConfigKey config;
  std::string_view variable;
  ReadExecValue* read = nullptr;
};
const std::array<ExecKey, 8> kExecKeys{{
    {{"type", ConfigValue::text, "the name of a type"}, "TOKENPOOL_TYPE", read_type},
    {{"memory", ConfigValue::number_or_text, "a number of bytes, or \"512M\""},
     "TOKENPOOL_MEMORY",
     read_memory},
    {{"priority", ConfigValue::number_or_text, "a number from -100 to 100"},
     "TOKENPOOL_PRIORITY",
     read_priority},
    {{"timeout", ConfigValue::number_or_text, "a number of seconds"},
     "TOKENPOOL_TIMEOUT",
     read_timeout},
    {{"alone_after", ConfigValue::number_or_text, "a number of seconds"},
     "TOKENPOOL_ALONE_AFTER",
     read_alone_after},
    {{"nice", ConfigValue::number_or_text, "a number from 0 to 19"}, "TOKENPOOL_NICE", read_nice},
    {{"quiet", ConfigValue::flag, "true or false"}, "TOKENPOOL_QUIET", read_quiet},
    {{"width_for", ConfigValue::text, "names of variables with commas between them"},
     "TOKENPOOL_WIDTH_FOR",
     read_width_for},
}};

/// Calls `take` for each entry of the file.
wire::Result<void> read_file(const ConfigText& text,
                             const std::function<void(const ConfigEntry& entry)>& take,
                             launcher::LaunchConfig* config) {
  std::vector<ConfigKey> keys;
  for (const ExecKey& key : kExecKeys) keys.push_back(key.config);
  const auto entries = parse_config(text, {false, "exec", {}}, keys);
  if (!entries) return tl::unexpected(entries.error());
  for (const ConfigEntry& entry : *entries) {
    const std::string& word = entry.words.front();
    const auto key = std::ranges::find_if(
        kExecKeys, [&](const ExecKey& one) { return one.config.name == entry.key; });
    if (word.empty() && entry.key != "width_for") {
      return tl::unexpected(wrong_entry(text, entry, "'': an empty value"));
    }
    if (const auto read = key->read(word, config); !read) {
      return tl::unexpected(wrong_entry(text, entry, read.error().sentence));
    }
    take(entry);
  }
  return {};
}

wire::Result<void> read_project(const ConfigText& text, ExecOptions* options) {
  launcher::LaunchConfig project;
  launcher::LaunchConfig* const config = &options->config;
  std::string ignored;
  const auto take = [&](const ConfigEntry& entry) {
    if (entry.key == "nice") {
      config->nice = std::max(config->nice, project.nice);
    } else if (entry.key == "priority") {
      config->wanted.priority = std::min(config->wanted.priority, project.wanted.priority);
    } else {
      ignored += (ignored.empty() ? "" : ", ") + entry.key;
    }
  };
  if (const auto read = read_file(text, take, &project); !read) return read;
  if (ignored.empty()) return {};
  options->notes.push_back("the configuration " + text.file + ": " + ignored +
                           " is ignored, for exec a project's file may only have nice and "
                           "priority; your own file may have it, see tokenpool-config(5)");
  return {};
}

wire::Result<void> read_variables(const Defaults& defaults, launcher::LaunchConfig* config) {
  for (const ExecKey& key : kExecKeys) {
    auto value = variable_of(defaults, key.variable);
    // Which is told to none is an answer, too.
    if (key.read == read_width_for) value = value_of(defaults.variables, key.variable);
    if (!value) continue;
    if (const auto read = key.read(*value, config); !read) {
      return usage(std::string(key.variable) + "=" + without_option(read.error().sentence));
    }
  }
  return {};
}

}  // namespace

wire::Result<void> read_defaults(const Defaults& defaults, ExecOptions* options) {
  options->notes = defaults.notes;
  if (defaults.user) {
    const auto read = read_file(*defaults.user, [](const ConfigEntry&) {}, &options->config);
    if (!read) return read;
  }
  if (defaults.project) {
    if (const auto read = read_project(*defaults.project, options); !read) return read;
  }
  return read_variables(defaults, &options->config);
}

}  // namespace tokenpool::cli
