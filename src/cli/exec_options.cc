#include "cli/exec_options.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "cli/command_line.h"
#include "core/limits.h"

namespace tokenpool::cli {
namespace {

using Value = const std::string&;

std::string slots_to_give() {
  return "give a number of slots, 1-" + std::to_string(core::kMaxSlots) +
         ", or a range such as 1-8";
}

wire::Result<void> read_slots(Value text, host::LaunchConfig* config) {
  const std::size_t dash = text.find('-', 1);
  const auto low = number_of(std::string_view(text).substr(0, dash));
  const auto high =
      dash == std::string::npos ? low : number_of(std::string_view(text).substr(dash + 1));
  const std::string word = "--slots " + text + ": ";
  if (!low || !high) return usage(word + "not a number of slots, " + slots_to_give());
  if (*low < 1 || *high < 1) return usage(word + "a job needs a slot, " + slots_to_give());
  if (*low > core::kMaxSlots || *high > core::kMaxSlots) {
    return usage(word + "no pool has more than " + std::to_string(core::kMaxSlots) + ", " +
                 slots_to_give());
  }
  if (*low > *high) return usage(word + "a range from more to less, " + slots_to_give());
  config->wanted.min = static_cast<int>(*low);
  config->wanted.max = static_cast<int>(*high);
  config->tells_width = true;
  return {};
}

wire::Result<void> read_type(Value text, host::LaunchConfig* config) {
  const bool lawful = std::all_of(text.begin(), text.end(), [](char letter) {
    return (letter >= 'A' && letter <= 'Z') || (letter >= 'a' && letter <= 'z') ||
           (letter >= '0' && letter <= '9') || letter == '_' || letter == '.' || letter == '-';
  });
  if (!lawful || text.size() > core::kMaxTypeBytes) {
    return usage("--type " + text + ": no name of a type, give at most " +
                 std::to_string(core::kMaxTypeBytes) +
                 " letters, digits, _ . and -, for example link");
  }
  config->wanted.type = text;
  return {};
}

wire::Result<void> read_target(Value text, host::LaunchConfig* config) {
  config->wanted.target = text;
  return {};
}

wire::Result<void> read_memory(Value text, host::LaunchConfig* config) {
  const std::string_view units = "KMGT";
  std::string_view digits = text;
  unsigned shift = 0;
  if (const auto unit = units.find(digits.back()); unit != std::string_view::npos) {
    shift = 10 * (static_cast<unsigned>(unit) + 1);
    digits.remove_suffix(1);
  }
  const auto bytes = number_of(digits);
  if (!bytes || *bytes < 1 || static_cast<std::uint64_t>(*bytes) > core::kMaxNumber >> shift) {
    return usage("--memory " + text +
                 ": no size, give bytes, or a number with K, M, G or T, for example 512M");
  }
  config->wanted.memory = static_cast<std::uint64_t>(*bytes) << shift;
  return {};
}

wire::Result<void> read_priority(Value text, host::LaunchConfig* config) {
  const auto priority = number_of(text);
  if (!priority || *priority < -core::kMaxPriority || *priority > core::kMaxPriority) {
    return usage("--priority " + text + ": no priority, give -" +
                 std::to_string(core::kMaxPriority) + " to " + std::to_string(core::kMaxPriority) +
                 ", higher comes first");
  }
  config->wanted.priority = static_cast<int>(*priority);
  return {};
}

/// Seconds with up to three decimals.
wire::Result<client::Milliseconds> read_seconds(const std::string& option, Value text) {
  const std::size_t point = std::min(text.find('.'), text.size());
  std::string decimals = point < text.size() ? text.substr(point + 1) : "0";
  const auto seconds = number_of(std::string_view(text).substr(0, point));
  const bool lawful = !decimals.empty() && decimals.size() <= 3 && decimals.front() != '-';
  decimals.resize(3, '0');
  const auto thousandths = number_of(decimals);
  if (!seconds || !thousandths || !lawful || text.front() == '-' ||
      *seconds > core::kMaxTimeoutMs / 1000 ||
      *seconds * 1000 + *thousandths > core::kMaxTimeoutMs) {
    return usage(option + " " + text + ": no time to wait, give seconds, 0 to " +
                 std::to_string(core::kMaxTimeoutMs / 1000) + ", for example 60 or 0.5");
  }
  return client::Milliseconds(*seconds * 1000 + *thousandths);
}

wire::Result<void> read_timeout(Value text, host::LaunchConfig* config) {
  const auto time = read_seconds("--timeout", text);
  if (!time) return tl::unexpected(time.error());
  config->wanted.timeout = *time;
  return {};
}

wire::Result<void> read_alone_after(Value text, host::LaunchConfig* config) {
  const auto time = read_seconds("--alone-after", text);
  if (!time) return tl::unexpected(time.error());
  config->alone_after = *time;
  return {};
}

struct Option {
  std::string_view name;
  wire::Result<void> (*read)(Value text, host::LaunchConfig* config);
};
constexpr std::array<Option, 7> kValued{{{"--slots", read_slots},
                                         {"--type", read_type},
                                         {"--target", read_target},
                                         {"--memory", read_memory},
                                         {"--priority", read_priority},
                                         {"--timeout", read_timeout},
                                         {"--alone-after", read_alone_after}}};

std::vector<std::string> known_options() {
  std::vector<std::string> known{"-q", "--opam", "--help"};
  for (const Option& option : kValued) known.emplace_back(option.name);
  return known;
}

/// Reads the option at words[*at] and moves *at behind it.
wire::Result<void> read_option(const std::vector<std::string>& words, std::size_t* at,
                               ExecOptions* options) {
  const std::string& word = words[(*at)++];
  if (word == "-h" || word == "--help") {
    options->help = true;
    return {};
  }
  if (word == "-q") {
    options->config.quiet = true;
    return {};
  }
  if (word == "--opam") {
    options->config.opam = true;
    return {};
  }
  const std::size_t equals = word.find('=');
  const std::string name = word.substr(0, equals);
  if (name == "--opam" || name == "--help")
    return usage(name + ": it takes no value, leave it out");
  const auto* const option = std::find_if(kValued.begin(), kValued.end(),
                                          [&](const Option& one) { return one.name == name; });
  if (option == kValued.end()) return usage(unknown_option("exec", name, known_options()));
  std::string value;
  if (equals != std::string::npos) {
    value = word.substr(equals + 1);
  } else if (*at < words.size()) {
    value = words[(*at)++];
  } else {
    return usage(name + ": a value must follow" + see_help("exec"));
  }
  if (value.empty()) return usage(name + " '': an empty value; is a variable unset?");
  return option->read(value, &options->config);
}

}  // namespace

wire::Result<ExecOptions> parse_exec(const std::vector<std::string>& words) {
  ExecOptions options;
  std::size_t at = 0;
  while (at < words.size() && words[at].size() > 1 && words[at].front() == '-') {
    if (words[at] == "--") {
      ++at;
      break;
    }
    const auto read = read_option(words, &at, &options);
    if (options.help) return options;
    if (!read) return tl::make_unexpected(read.error());
  }
  if (at == words.size()) {
    return usage(
        "no command to run: give it after the options, for example tokenpool exec -- cc -c a.c");
  }
  if (words[at].empty()) {
    return usage("'': an empty name for the command to run, give a program; is a variable unset?");
  }
  options.config.command.assign(words.begin() + static_cast<std::ptrdiff_t>(at), words.end());
  return options;
}

}  // namespace tokenpool::cli
