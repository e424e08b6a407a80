#include "cli/exec_options.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "cli/command_line.h"
#include "cli/exec_values.h"
#include "proc/say.h"

namespace tokenpool::cli {
namespace {

struct Option {
  std::string_view name;
  ReadExecValue* read;
};
constexpr std::array<Option, 8> kValued{{{"--slots", read_slots},
                                         {"--type", read_type},
                                         {"--target", read_target},
                                         {"--memory", read_memory},
                                         {"--priority", read_priority},
                                         {"--timeout", read_timeout},
                                         {"--alone-after", read_alone_after},
                                         {"--nice", read_nice}}};

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

wire::Result<ExecOptions> parse_exec(const std::vector<std::string>& words,
                                     const Defaults& defaults) {
  ExecOptions options;
  const auto before = read_defaults(defaults, &options);
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
  if (!before) return tl::make_unexpected(before.error());
  options.config.command.assign(words.begin() + static_cast<std::ptrdiff_t>(at), words.end());
  return options;
}

wire::Result<ExecOptions> read_exec(const std::vector<std::string>& words) {
  const auto defaults = own_defaults();
  if (!defaults) return tl::make_unexpected(defaults.error());
  auto options = parse_exec(words, *defaults);
  if (!options || options->help || options->config.quiet || is_in_build(*defaults)) return options;
  for (const std::string& note : options->notes) proc::say("exec", note);
  return options;
}

}  // namespace tokenpool::cli
