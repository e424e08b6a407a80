#include "cli/run_words.h"

#include <array>
#include <utility>

#include "cli/command_line.h"
#include "cli/nice.h"
#include "cli/slots.h"
#include "cli/standstill.h"
#include "cli/type_limits.h"
#include "shim/real_tool.h"

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

constexpr Choice<front::Track, 3> kTrack{"--track",
                                         {{{"auto", front::Track::automatic},
                                           {"exact", front::Track::exact},
                                           {"infer", front::Track::infer}}}};
constexpr Choice<bool, 2> kShims{"--shims", {{{"on", true}, {"off", false}}}};

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

wire::Result<dialect::WrapNames> read_wrap(const std::string& text) {
  auto names = dialect::parse_wrap(text);
  if (!names) return names;
  for (const std::string& name : names->added) {
    if (shim::is_shim_name(name) || name.starts_with("tokenpool")) {
      std::string sentence = "--wrap=" + text;
      sentence += ": " + name;
      return usage(sentence +
                   " is no compiler; make, ninja, ctest and cmake have shims of their own");
    }
  }
  return names;
}

}  // namespace

wire::Result<front::RunConfig> check_run(const RunWords& words, int usable_cpus) {
  front::RunConfig config;
  const auto slots = parse_slots(words.slots, usable_cpus);
  if (!slots) return tl::make_unexpected(slots.error());
  const auto track = kTrack.read(words.track);
  if (!track) return tl::make_unexpected(track.error());
  const auto shims = kShims.read(words.shims);
  if (!shims) return tl::make_unexpected(shims.error());
  const auto standstill = parse_standstill(words.standstill);
  if (!standstill) return tl::make_unexpected(standstill.error());
  const auto nice = parse_nice(words.nice);
  if (!nice) return tl::make_unexpected(nice.error());
  config.nice = *nice;
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
  config.quiet = words.quiet;
  return config;
}

}  // namespace tokenpool::cli
