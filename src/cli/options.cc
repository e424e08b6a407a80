#include "cli/options.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "cli/command_line.h"
#include "cli/run_words.h"
#include "cli/suggest.h"

namespace tokenpool::cli {
namespace {

// CLI11 takes the next word as the value of `--report=`, which is what --report=$UNSET becomes.
std::optional<std::string> option_without_value(const std::vector<std::string>& words) {
  constexpr std::array<std::string_view, 9> kValued{"-j",      "--jobs",       "--track",
                                                    "--shims", "--report",     "--listen",
                                                    "--limit", "--standstill", "--nice"};
  for (std::size_t i = 0; i < words.size() && words[i].starts_with('-') && words[i] != "--"; ++i) {
    if (words[i] == "--wrap=") return words[i];
    for (const std::string_view option : kValued) {
      if (words[i] == std::string(option) + "=") return words[i];
    }
    if (std::find(kValued.begin(), kValued.end(), words[i]) != kValued.end()) ++i;
  }
  return std::nullopt;
}

// `--wrap cc,ld make`, or `--wrap cc -- make`: no program is called so.
bool is_list_for_wrap(const std::vector<std::string>& command) {
  return command.front().find(',') != std::string::npos ||
         (command.size() > 1 && command[1] == "--");
}

}  // namespace

wire::Result<RunOptions> parse_run(const std::vector<std::string>& words, int usable_cpus,
                                   const Defaults& defaults) {
  RunOptions options;
  options.notes = defaults.notes;
  const auto before = run_defaults(defaults, usable_cpus, &options.notes);
  RunWords values = before ? *before : RunWords{};
  std::vector<std::string> limits;
  const std::vector<CommandOption> known{
      {"-j,--jobs", &values.slots},
      {"--track", &values.track},
      {"--shims", &values.shims},
      {"--standstill", &values.standstill},
      {"--enforce", &values.enforce},
      {"--die-with-parent", &values.die_with_parent},
      {"--end-leftovers", &values.end_leftovers},
      {"--wrap", &values.wrap, "*"},  // a list only behind =, so that CMD is none
      {"--report", &values.report},
      {"--listen", &values.listen},
      {"--limit", &limits},
      {"--allow-remote", &values.allow_remote},
      {"--nice", &values.nice},
      {"-q", &values.quiet},
      {"--help,-h", &options.help}};

  if (const auto bare = option_without_value(words)) {
    return usage(*bare + ": an empty value; is a variable unset?");
  }
  auto rest = parse_words("run", known, words);
  if (!rest) return tl::make_unexpected(rest.error());
  if (options.help) return options;
  if (!rest->empty() && rest->front() == "--") {
    rest->erase(rest->begin());
  } else if (!rest->empty() && rest->front().starts_with('-')) {
    return usage(unknown_option("run", rest->front(), known));
  }
  values.limits.insert(values.limits.end(), limits.begin(), limits.end());
  auto config = check_run(values, usable_cpus);
  if (!config) return tl::make_unexpected(config.error());
  if (rest->empty()) {
    return usage(
        "no command to run: give it after the options, for example tokenpool run -j 4 make");
  }
  if (rest->front().empty()) {
    return usage("'': an empty name for the command to run, give a program; is a variable unset?");
  }
  if (values.wrap == "*" && is_list_for_wrap(*rest)) {
    return usage("--wrap " + rest->front() +
                 ": its list stands behind =, give --wrap=" + rest->front());
  }
  if (!before) return tl::make_unexpected(before.error());
  options.config = std::move(*config);
  options.config.command = std::move(*rest);
  return options;
}

wire::Result<PrintOptions> parse_print(std::string_view command,
                                       const std::vector<std::string>& words) {
  PrintOptions options;
  const std::vector<CommandOption> known{
      {"--json", &options.json}, {"-v,--verbose", &options.verbose}, {"--help,-h", &options.help}};
  const auto rest = parse_words(command, known, words);
  if (!rest) return tl::make_unexpected(rest.error());
  if (options.help || rest->empty()) return options;
  const std::string& word = rest->front();
  if (word.starts_with('-') && word != "--") return usage(unknown_option(command, word, known));
  return usage(word + ": it takes no arguments" + see_help(command));
}

}  // namespace tokenpool::cli
