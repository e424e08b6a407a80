#include "cli/options.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "cli/command_line.h"
#include "cli/real_tool.h"
#include "cli/slots.h"
#include "cli/standstill.h"
#include "cli/suggest.h"
#include "cli/type_limits.h"

namespace tokenpool::cli {
namespace {

template <typename Value, std::size_t count>
struct Choice {
  const char* option;
  std::array<std::pair<const char*, Value>, count> values;

  wire::Result<Value> read(const std::string& text) const {
    std::string all;
    for (std::size_t i = 0; i < count; ++i) {
      if (text == values[i].first) return values[i].second;
      all += (i == 0 ? "" : i + 1 == count ? " or " : ", ") + std::string(values[i].first);
    }
    return usage(std::string(option) + " " + text + ": no such choice, give " + all);
  }
};

constexpr Choice<host::Track, 3> kTrack{"--track",
                                        {{{"auto", host::Track::automatic},
                                          {"exact", host::Track::exact},
                                          {"infer", host::Track::infer}}}};
constexpr Choice<bool, 2> kShims{"--shims", {{{"on", true}, {"off", false}}}};

struct RunWords {
  std::string slots = "cpus";
  std::string track = "auto";
  std::string shims = "on";
  std::string standstill = "5";
  std::string wrap;  ///< "*" where no list was given
  std::optional<std::string> report;
  std::vector<std::string> listen;
  std::vector<std::string> limits;
  bool allow_remote = false;
  bool enforce = false;
  bool die_with_parent = false;
  bool end_leftovers = false;
};

// The Unix socket of a run has its place in the run's folder.
wire::Result<std::vector<wire::Address>> check_tcp(const std::vector<std::string>& words,
                                                   bool allow_remote) {
  std::vector<wire::Address> addresses;
  for (const std::string& word : words) {
    auto address = wire::parse_address(word);
    if (!address) return usage("--listen: " + address.error().sentence);
    if (address->kind != wire::Address::Kind::tcp) {
      return usage("--listen " + word + ": run has a Unix socket of its own, give tcp:HOST:PORT");
    }
    if (!wire::is_loopback(*address) && !allow_remote) {
      return usage("--listen " + word +
                   ": others than this machine could connect, and nothing is encrypted; give a "
                   "loopback address, or --allow-remote too");
    }
    addresses.push_back(std::move(*address));
  }
  return addresses;
}

wire::Result<wire::WrapNames> read_wrap(const std::string& text) {
  auto names = wire::parse_wrap(text);
  if (!names) return names;
  for (const std::string& name : names->added) {
    if (is_shim_name(name) || name.starts_with("tokenpool")) {
      std::string sentence = "--wrap=" + text;
      sentence += ": " + name;
      return usage(sentence +
                   " is no compiler; make, ninja, ctest and cmake have shims of their own");
    }
  }
  return names;
}

wire::Result<host::RunConfig> check_run(const RunWords& words, int usable_cpus) {
  host::RunConfig config;
  const auto slots = parse_slots(words.slots, usable_cpus);
  if (!slots) return tl::make_unexpected(slots.error());
  const auto track = kTrack.read(words.track);
  if (!track) return tl::make_unexpected(track.error());
  const auto shims = kShims.read(words.shims);
  if (!shims) return tl::make_unexpected(shims.error());
  const auto standstill = parse_standstill(words.standstill);
  if (!standstill) return tl::make_unexpected(standstill.error());
  config.standstill = *standstill;
  config.enforce = words.enforce;
  config.die_with_parent = words.die_with_parent;
  config.end_leftovers = words.end_leftovers;
  if (!words.wrap.empty()) {
    auto wrap = read_wrap(words.wrap);
    if (!wrap) return tl::make_unexpected(wrap.error());
    config.wrap = std::move(*wrap);
  }
  if (words.report && words.report->empty()) {
    return usage("--report '': an empty file name, give the file that the report goes to");
  }
  if (words.report == "-") {
    return usage("--report -: stdout is the command's, give a file or /dev/stderr");
  }
  auto listen = check_tcp(words.listen, words.allow_remote);
  if (!listen) return tl::make_unexpected(listen.error());
  config.listen = std::move(*listen);
  auto limits = parse_type_limits(words.limits);
  if (!limits) return tl::make_unexpected(limits.error());
  config.limits = std::move(*limits);
  config.slots = *slots;
  config.track = *track;
  config.shims = *shims;
  config.report_path = words.report;
  return config;
}

// CLI11 takes the next word as the value of `--report=`, which is what --report=$UNSET becomes.
std::optional<std::string> option_without_value(const std::vector<std::string>& words) {
  constexpr std::array<std::string_view, 8> kValued{
      "-j", "--jobs", "--track", "--shims", "--report", "--listen", "--limit", "--standstill"};
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

wire::Result<RunOptions> parse_run(const std::vector<std::string>& words, int usable_cpus) {
  RunOptions options;
  RunWords values;
  bool quiet = false;
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
      {"--limit", &values.limits},
      {"--allow-remote", &values.allow_remote},
      {"-q", &quiet},
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
  const auto config = check_run(values, usable_cpus);
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
  options.config = *config;
  options.config.command = std::move(*rest);
  options.config.quiet = quiet;
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
