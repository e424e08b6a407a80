#include "cli/serve_options.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include <toml++/toml.h>
#include <unistd.h>

#include "cli/command_line.h"
#include "cli/server_address.h"
#include "cli/slots.h"
#include "cli/standstill.h"
#include "cli/suggest.h"
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

wire::Result<host::ServeConfig> check_serve(const Words& words, int usable_cpus,
                                            bool sockets_passed) {
  host::ServeConfig config;
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

/// Where in the file something is wrong.
struct Place {
  std::string file;
  std::string key;
  toml::source_index line = 0;
};

wire::Error wrong_key(const Place& place, const std::string& what) {
  return usage("the configuration " + place.file + ", line " + std::to_string(place.line) + ": " +
               place.key + ": " + what)
      .value();
}

/// What the option takes as a word stands in the file as a number or as a string.
std::optional<std::string> number_or_text(const toml::node& value) {
  if (const auto number = value.value_exact<std::int64_t>()) return std::to_string(*number);
  return value.value_exact<std::string>();
}

std::optional<wire::Error> read_key(const Place& place, const toml::node& value, Words* words) {
  const auto wrong = [&](const std::string& what) { return wrong_key(place, what); };
  const std::string& key = place.key;
  if (key == "jobs") {
    words->slots = number_or_text(value);
    if (!words->slots) return wrong("give a number of slots, \"MIN-MAX\", \"cpus\" or \"auto\"");
  } else if (key == "listen") {
    const auto* list = value.as_array();
    if (list == nullptr) return wrong("give a list of addresses");
    for (const toml::node& one : *list) {
      const auto text = one.value_exact<std::string>();
      if (!text) return wrong("give a list of addresses");
      words->listen.push_back(*text);
    }
  } else if (key == "limits") {
    const auto* table = value.as_table();
    if (table == nullptr) return wrong("give a table, a number for each type");
    for (const auto& [type, limit] : *table) {
      const auto number = limit.value_exact<std::int64_t>();
      if (!number) return wrong("give a number for " + std::string(type.str()));
      words->limits.push_back(std::string(type.str()) + "=" + std::to_string(*number));
    }
  } else if (key == "cookie_file") {
    words->cookie_file = value.value_exact<std::string>();
    if (!words->cookie_file) return wrong("give a file name");
  } else if (key == "standstill") {
    words->standstill = number_or_text(value);
    if (!words->standstill) return wrong("give a number of seconds, or \"off\"");
  } else if (key == "allow_remote") {
    const auto flag = value.value_exact<bool>();
    if (!flag) return wrong("give true or false");
    words->allow_remote = *flag;
  } else {
    static const std::vector<std::string> kKeys{"jobs",        "listen",       "limits",
                                                "cookie_file", "allow_remote", "standstill"};
    const std::string near = nearest(key, kKeys);
    if (!near.empty()) return wrong("no such key (the nearest is " + near + ")");
    std::string all;
    for (const std::string& one : kKeys) all += (all.empty() ? "" : ", ") + one;
    return wrong("no such key; there are " + all);
  }
  return std::nullopt;
}

/// What is wrong with the value of one key: the same as with its option, but for the name.
std::optional<wire::Error> check_key(const Place& place, Words only, int usable_cpus) {
  only.allow_remote = true;
  const auto config = check_serve(only, usable_cpus, true);
  if (config) return std::nullopt;
  std::string what = config.error().sentence;
  if (what.starts_with('-')) what.erase(0, what.find(' ') + 1);
  return wrong_key(place, what);
}

wire::Result<Words> read_config(const std::string& file, int usable_cpus) {
  const auto text = proc::read_start(file, kMaxConfig);
  if (!text) {
    return usage("the configuration " + file + " cannot be read; give a file that is there");
  }
  Words words;
  try {
    const toml::table table = toml::parse(*text);
    for (const auto& [key, value] : table) {
      const Place place{file, std::string(key.str()), value.source().begin.line};
      Words only;
      auto error = read_key(place, value, &only);
      if (!error) error = check_key(place, only, usable_cpus);
      if (error) return tl::make_unexpected(*error);
      (void)read_key(place, value, &words);
    }
  } catch (const toml::parse_error& error) {
    return usage("the configuration " + file + ", line " +
                 std::to_string(error.source().begin.line) + ": " +
                 std::string(error.description()));
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
