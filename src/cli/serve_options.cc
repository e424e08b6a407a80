#include "cli/serve_options.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include <unistd.h>

#include "cli/command_line.h"
#include "cli/config_file.h"
#include "cli/server_address.h"
#include "cli/slots.h"
#include "cli/standstill.h"
#include "cli/type_limits.h"
#include "proc/environ.h"
#include "proc/file.h"
#include "wire/address.h"

namespace tokenpool::cli {
namespace {

constexpr std::size_t kMaxConfig = 1U << 20;

/// All of it as text, as it stands on the command line or in the file.
struct Words {
  std::optional<std::string> slots;
  std::vector<std::string> listen;
  std::vector<std::string> limits;  ///< TYPE=N
  std::optional<std::string> cookie_file;
  std::optional<std::string> standstill;
  bool allow_remote = false;
};

wire::Result<serve::ServeConfig> check_serve(const Words& words, int usable_cpus,
                                             bool sockets_passed) {
  serve::ServeConfig config;
  const auto slots = parse_slots(words.slots.value_or("cpus"), usable_cpus);
  if (!slots) return tl::make_unexpected(slots.error());
  config.slots = *slots;
  const auto standstill = parse_standstill(words.standstill.value_or("5"));
  if (!standstill) return tl::make_unexpected(standstill.error());
  config.standstill = *standstill;
  for (const std::string& word : words.listen) {
    auto address = wire::parse_address(word);
    if (!address) return usage("--listen: " + address.error().sentence);
    if (!wire::is_loopback(*address) && !words.allow_remote) {
      return usage("--listen " + word +
                   ": others than this machine could connect, and nothing is encrypted; give a "
                   "loopback address, or --allow-remote too");
    }
    config.listen.push_back(std::move(*address));
  }
  if (config.listen.empty() && !sockets_passed) {
    auto address =
        wire::parse_address("unix:" + default_socket(proc::own_environment(), ::geteuid()));
    if (!address) return tl::make_unexpected(address.error());
    config.listen.push_back(std::move(*address));
  }
  const auto limits = parse_type_limits(words.limits);
  if (!limits) return tl::make_unexpected(limits.error());
  config.limits.assign(limits->begin(), limits->end());
  config.cookie_file = words.cookie_file;
  config.allow_remote = words.allow_remote;
  return config;
}

std::vector<ConfigKey> serve_keys() {
  return {
      {"jobs", ConfigValue::number_or_text, "a number of slots, \"MIN-MAX\", \"cpus\" or \"auto\""},
      {"listen", ConfigValue::list, "a list of addresses"},
      {"limits", ConfigValue::numbers, "a table, a number for each type"},
      {"cookie_file", ConfigValue::text, "a file name"},
      {"allow_remote", ConfigValue::flag, "true or false"},
      {"standstill", ConfigValue::number_or_text, "a number of seconds, or \"off\""}};
}

void take_entry(const ConfigEntry& entry, Words* words) {
  if (entry.key == "jobs") words->slots = entry.words.front();
  if (entry.key == "listen") words->listen = entry.words;
  if (entry.key == "limits") words->limits = entry.words;
  if (entry.key == "cookie_file") words->cookie_file = entry.words.front();
  if (entry.key == "standstill") words->standstill = entry.words.front();
  if (entry.key == "allow_remote") words->allow_remote = entry.words.front() == "on";
}

wire::Result<Words> read_config(const std::string& file, int usable_cpus) {
  auto text = proc::read_start(file, kMaxConfig);
  if (!text) {
    return usage("the configuration " + file + " cannot be read; give a file that is there");
  }
  const ConfigText config{file, std::move(*text)};
  const auto entries = parse_config(config, {}, serve_keys());
  if (!entries) return tl::unexpected(entries.error());
  Words words;
  for (const ConfigEntry& entry : *entries) {
    Words only;
    only.allow_remote = true;
    take_entry(entry, &only);
    const auto checked = check_serve(only, usable_cpus, true);
    if (!checked) return tl::unexpected(wrong_entry(config, entry, checked.error().sentence));
    take_entry(entry, &words);
  }
  return words;
}

// What the command line says comes before what the file says.
Words merged(Words line, Words file) {
  if (!line.slots) line.slots = file.slots;
  if (line.listen.empty()) line.listen = std::move(file.listen);
  if (line.limits.empty()) line.limits = std::move(file.limits);
  if (!line.cookie_file) line.cookie_file = file.cookie_file;
  if (!line.standstill) line.standstill = file.standstill;
  line.allow_remote = line.allow_remote || file.allow_remote;
  return line;
}

}  // namespace

wire::Result<ServeOptions> parse_serve(const std::vector<std::string>& words, int usable_cpus,
                                       bool sockets_passed) {
  ServeOptions options;
  Words line;
  std::optional<std::string> config_file;
  bool quiet = false;
  const std::vector<CommandOption> known{{"-j,--jobs", &line.slots},
                                         {"--listen", &line.listen},
                                         {"--limit", &line.limits},
                                         {"--cookie-file", &line.cookie_file},
                                         {"--config", &config_file},
                                         {"--standstill", &line.standstill},
                                         {"--allow-remote", &line.allow_remote},
                                         {"-q", &quiet},
                                         {"--help,-h", &options.help}};
  const auto rest = parse_words("serve", known, words);
  if (!rest) return tl::unexpected(rest.error());
  if (options.help) return options;
  if (!rest->empty()) {
    const std::string& word = rest->front();
    if (word.starts_with('-')) return usage(unknown_option("serve", word, known));
    return usage(word + ": serve takes no arguments" + see_help("serve"));
  }
  if (config_file) {
    auto file = read_config(*config_file, usable_cpus);
    if (!file) return tl::make_unexpected(file.error());
    line = merged(std::move(line), std::move(*file));
  }
  auto config = check_serve(line, usable_cpus, sockets_passed);
  if (!config) return tl::make_unexpected(config.error());
  options.config = std::move(*config);
  options.config.quiet = quiet;
  return options;
}

}  // namespace tokenpool::cli
