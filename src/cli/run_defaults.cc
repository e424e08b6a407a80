#include <algorithm>
#include <array>
#include <map>
#include <string_view>
#include <utility>

#include "cli/command_line.h"
#include "cli/nice.h"
#include "cli/run_words.h"
#include "cli/slots.h"
#include "cli/type_limits.h"

namespace tokenpool::cli {
namespace {

using Texts = std::vector<std::string>;

/// A default of `run`, by its names.
struct RunKey {
  ConfigKey config;
  std::string_view variable{};  ///< none: only a file has it
  void (*take)(const Texts& texts, RunWords* words) = nullptr;
  bool narrows = false;      ///< a project may say it
  bool run_sets_it = false;  ///< the variable also tells a build of its run
  bool execs_too = false;    ///< ... or is one of exec, too
};

bool is_on(const Texts& texts) { return texts.front() == "on"; }

// What a user is to give is said by the option where the type is right and the value is not.
const std::array<RunKey, 14> kRunKeys{{
    {{"jobs", ConfigValue::number_or_text,
      "a number of slots, \"MIN-MAX\", \"cpus\", \"50%\" or \"auto\""},
     "TOKENPOOL_JOBS",
     [](const Texts& texts, RunWords* words) { words->slots = texts.front(); },
     true,
     true},
    {{"limits", ConfigValue::numbers, "a table, a number for each type"},
     "TOKENPOOL_LIMIT",
     [](const Texts& texts, RunWords* words) {
       words->limits.insert(words->limits.end(), texts.begin(), texts.end());
     },
     true},
    {{"nice", ConfigValue::number_or_text, "a number from 0 to 19"},
     "TOKENPOOL_NICE",
     [](const Texts& texts, RunWords* words) { words->nice = texts.front(); },
     true,
     false,
     true},
    {{"wrap", ConfigValue::flag_or_text, "true, false or a list such as \"+myc,-ld\""},
     "TOKENPOOL_WRAP",
     [](const Texts& texts, RunWords* words) {
       words->wrap = is_on(texts) ? "*" : texts.front() == "off" ? "" : texts.front();
     },
     true,
     true},
    {{"track", ConfigValue::text, "\"auto\", \"exact\" or \"infer\""},
     "TOKENPOOL_TRACK",
     [](const Texts& texts, RunWords* words) { words->track = texts.front(); }},
    {{"shims", ConfigValue::flag, "true or false"},
     "TOKENPOOL_SHIMS",
     [](const Texts& texts, RunWords* words) { words->shims = texts.front(); },
     false,
     true},
    {{"standstill", ConfigValue::number_or_text, "a number of seconds, or \"off\""},
     "TOKENPOOL_STANDSTILL",
     [](const Texts& texts, RunWords* words) { words->standstill = texts.front(); }},
    {{"enforce", ConfigValue::flag, "true or false"},
     "TOKENPOOL_ENFORCE",
     [](const Texts& texts, RunWords* words) { words->enforce = is_on(texts); }},
    {{"die_with_parent", ConfigValue::flag, "true or false"},
     "TOKENPOOL_DIE_WITH_PARENT",
     [](const Texts& texts, RunWords* words) { words->die_with_parent = is_on(texts); }},
    {{"end_leftovers", ConfigValue::flag, "true or false"},
     "TOKENPOOL_END_LEFTOVERS",
     [](const Texts& texts, RunWords* words) { words->end_leftovers = is_on(texts); }},
    {{"report", ConfigValue::text, "a file name"},
     "TOKENPOOL_REPORT",
     [](const Texts& texts, RunWords* words) { words->report = texts.front(); }},
    {{"quiet", ConfigValue::flag, "true or false"},
     "TOKENPOOL_QUIET",
     [](const Texts& texts, RunWords* words) { words->quiet = is_on(texts); },
     false,
     false,
     true},
    {{"listen", ConfigValue::list, "a list of addresses"},
     {},
     [](const Texts& texts, RunWords* words) { words->listen = texts; }},
    {{"allow_remote", ConfigValue::flag, "true or false"},
     {},
     [](const Texts& texts, RunWords* words) { words->allow_remote = is_on(texts); }},
}};

const RunKey& key_of(const std::string& name) {
  return *std::ranges::find_if(kRunKeys,
                               [&](const RunKey& key) { return key.config.name == name; });
}

wire::Result<std::vector<ConfigEntry>> entries_of(const ConfigText& text) {
  std::vector<ConfigKey> keys;
  for (const RunKey& key : kRunKeys) keys.push_back(key.config);
  return parse_config(text, {true, "run", {"exec"}}, keys);
}

/// Empty: the value can be taken.
std::string why_wrong(const RunKey& key, const Texts& texts, int usable_cpus) {
  RunWords only;
  only.allow_remote = true;  // `listen` stands beside it
  key.take(texts, &only);
  const auto checked = check_run(only, usable_cpus);
  return checked ? std::string() : checked.error().sentence;
}

wire::Result<void> take_file(const ConfigText& text, int usable_cpus, RunWords* words) {
  const auto entries = entries_of(text);
  if (!entries) return tl::unexpected(entries.error());
  for (const ConfigEntry& entry : *entries) {
    const RunKey& key = key_of(entry.key);
    const std::string wrong = why_wrong(key, entry.words, usable_cpus);
    if (!wrong.empty()) return tl::unexpected(wrong_entry(text, entry, wrong));
    key.take(entry.words, words);
  }
  return {};
}

std::string narrower_slots(const std::string& user, const std::string& project, int usable_cpus) {
  const auto wide = parse_slots(user, usable_cpus);
  const auto narrow = parse_slots(project, usable_cpus);
  if (!wide || !narrow) return user;
  return std::to_string(std::min(wide->min, narrow->min)) + "-" +
         std::to_string(std::min(wide->max, narrow->max));
}

Texts lower_limits(const Texts& user, const Texts& project) {
  const auto of_user = parse_type_limits(user);
  const auto of_project = parse_type_limits(project);
  if (!of_user || !of_project) return user;
  std::map<std::string, int> all = *of_user;
  for (const auto& [type, limit] : *of_project) {
    const auto [place, is_new] = all.emplace(type, limit);
    place->second = std::min(place->second, limit);
  }
  Texts words;
  for (const auto& [type, limit] : all) words.push_back(type + "=" + std::to_string(limit));
  return words;
}

void narrow(const std::string& key, const RunWords& project, int usable_cpus, RunWords* words) {
  if (key == "jobs") words->slots = narrower_slots(words->slots, project.slots, usable_cpus);
  if (key == "limits") words->limits = lower_limits(words->limits, project.limits);
  if (key == "nice" && parse_nice(words->nice).value_or(0) < parse_nice(project.nice).value_or(0)) {
    words->nice = project.nice;
  }
  if (key == "wrap" && words->wrap.empty()) words->wrap = project.wrap;
}

wire::Result<void> take_project(const ConfigText& text, int usable_cpus, RunWords* words,
                                Texts* notes) {
  const auto entries = entries_of(text);
  if (!entries) return tl::unexpected(entries.error());
  std::string ignored;
  for (const ConfigEntry& entry : *entries) {
    const RunKey& key = key_of(entry.key);
    if (!key.narrows) {
      ignored += (ignored.empty() ? "" : ", ") + entry.key;
      continue;
    }
    const std::string wrong = why_wrong(key, entry.words, usable_cpus);
    if (!wrong.empty()) return tl::unexpected(wrong_entry(text, entry, wrong));
    RunWords project;
    key.take(entry.words, &project);
    const auto limits = parse_type_limits(project.limits);
    const bool stops =
        limits && std::ranges::any_of(*limits, [](const auto& limit) { return limit.second == 0; });
    if (stops) {
      return tl::unexpected(wrong_entry(text, entry, "0 would let none run, give 1 or more"));
    }
    narrow(entry.key, project, usable_cpus, words);
  }
  if (!ignored.empty()) {
    notes->push_back("the configuration " + text.file + ": " + ignored +
                     " is ignored, a project's file may only have jobs, limits, nice and wrap; "
                     "your own file may have it, see tokenpool-config(5)");
  }
  return {};
}

/// The value of a variable, as the words of the key; nothing: it cannot be one.
std::optional<Texts> variable_texts(const RunKey& key, const std::string& value) {
  if (key.config.value == ConfigValue::flag) {
    if (value != "on" && value != "off") return std::nullopt;
  }
  if (key.config.value != ConfigValue::numbers) return Texts{value};
  Texts texts;
  for (std::string_view rest = value; !rest.empty();) {
    texts.emplace_back(rest.substr(0, rest.find(',')));
    rest.remove_prefix(std::min(rest.size(), texts.back().size() + 1));
  }
  return texts;
}

wire::Result<void> take_variables(const Defaults& defaults, int usable_cpus, RunWords* words) {
  const bool in_build = is_in_build(defaults);
  for (const RunKey& key : kRunKeys) {
    if (key.variable.empty() || (in_build && key.run_sets_it)) continue;
    const auto value = variable_of(defaults, key.variable);
    if (!value) continue;
    const std::string name = std::string(key.variable) + "=";
    const auto texts = variable_texts(key, *value);
    if (!texts) return usage(name + *value + ": no such choice, give on or off");
    const std::string wrong = why_wrong(key, *texts, usable_cpus);
    if (!wrong.empty()) return usage(name + without_option(wrong));
    key.take(*texts, words);
  }
  return {};
}

}  // namespace

wire::Result<RunWords> run_defaults(const Defaults& defaults, int usable_cpus,
                                    std::vector<std::string>* notes) {
  RunWords words;
  if (defaults.user) {
    const auto taken = take_file(*defaults.user, usable_cpus, &words);
    if (!taken) return tl::unexpected(taken.error());
  }
  if (defaults.project) {
    const auto taken = take_project(*defaults.project, usable_cpus, &words, notes);
    if (!taken) return tl::unexpected(taken.error());
  }
  const auto taken = take_variables(defaults, usable_cpus, &words);
  if (!taken) return tl::unexpected(taken.error());
  return words;
}

std::vector<std::string> run_variables(bool in_build) {
  std::vector<std::string> names;
  for (const RunKey& key : kRunKeys) {
    const bool is_default = !key.variable.empty() && !(in_build && key.run_sets_it);
    if (is_default && !key.execs_too) names.emplace_back(key.variable);
  }
  return names;
}

}  // namespace tokenpool::cli
