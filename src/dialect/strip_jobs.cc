#include <algorithm>
#include <array>
#include <utility>

#include "core/check.h"
#include "dialect/make_words.h"
#include "dialect/tool.h"
#include "wire/characters.h"

namespace tokenpool::dialect {
namespace {

using Args = std::span<const std::string>;

// The arguments that are left, those removed, and the number of the last -j (0: unlimited).
struct Cut {
  Surgery surgery;
  std::optional<unsigned> jobs;

  void keep(Args args) { surgery.args.insert(surgery.args.end(), args.begin(), args.end()); }
  void remove(std::string text, unsigned number) {
    surgery.removed.push_back(std::move(text));
    jobs = number;
  }
};

Surgery unchanged(Args args, bool serial = false) {
  return {{args.begin(), args.end()}, {}, serial};
}

Cut cut_make(Args args) {
  MakeScan scan = scan_make_words(args, args, MakeSource::command_line);
  Cut cut;
  cut.surgery.args = std::move(scan.options);
  cut.keep(scan.operands);
  cut.surgery.removed = std::move(scan.removed);
  cut.jobs = scan.jobs;
  return cut;
}

// strtol's grammar, which ninja and cmake use: blanks and a sign may stand in front.
std::optional<unsigned> c_number(std::string_view text) {
  while (!text.empty() && (text[0] == ' ' || text[0] == '\t')) text.remove_prefix(1);
  if (text.starts_with('+')) text.remove_prefix(1);
  return whole_number(text);
}

// One word of ninja's short options at args[i]. Answers how many arguments it takes, itself
// included; 0 when nothing after it is an option of ninja any more.
std::size_t ninja_cluster(Args args, std::size_t i, Cut* cut) {
  constexpr std::string_view kWithValue = "dfklwC";
  const std::string& word = args[i];
  for (std::size_t at = 1; at < word.size(); ++at) {
    if (word[at] == 't') return 0;
    const bool value_apart = at + 1 == word.size();
    if (kWithValue.find(word[at]) != std::string_view::npos) {
      const std::size_t used = value_apart && i + 1 < args.size() ? 2 : 1;
      cut->keep(args.subspan(i, used));
      return used;
    }
    if (word[at] != 'j') continue;
    if (value_apart && i + 1 == args.size()) break;
    const std::string& value = value_apart ? args[i + 1] : word;
    const auto number = c_number(value_apart ? value : word.substr(at + 1));
    const std::size_t used = value_apart ? 2 : 1;
    if (!number) {
      cut->keep(args.subspan(i, used));
      return used;
    }
    cut->remove("-" + word.substr(at) + (value_apart ? " " + value : ""), *number);
    if (at > 1) cut->surgery.args.push_back(word.substr(0, at));
    return used;
  }
  cut->keep(args.subspan(i, 1));
  return 1;
}

Cut cut_ninja(Args args) {
  Cut cut;
  std::size_t i = 0;
  while (i < args.size() && args[i] != "--") {
    const bool options = args[i].size() > 1 && args[i][0] == '-' && args[i][1] != '-';
    if (!options) {
      cut.keep(args.subspan(i++, 1));
      continue;
    }
    const std::size_t used = ninja_cluster(args, i, &cut);
    if (used == 0) break;
    i += used;
  }
  cut.keep(args.subspan(i));
  return cut;
}

// -jN, -j=N, -j N, -j and the same of --parallel, at args[i]. Answers how many arguments it takes;
// 0: it is something else, or a value that the tool refuses.
std::size_t parallel_option(Args args, std::size_t i, bool name_and_number_may_touch,
                            unsigned* number) {
  std::string_view rest = args[i];
  bool is_long = false;
  if (rest.starts_with("--parallel")) {
    rest.remove_prefix(10);
    is_long = true;
  } else if (rest.starts_with("-j")) {
    rest.remove_prefix(2);
  } else {
    return 0;
  }
  *number = 0;
  if (rest.empty()) {
    if (i + 1 == args.size() || args[i + 1].starts_with('-')) return 1;
    if (args[i + 1].empty()) return 2;
    const auto next = c_number(args[i + 1]);
    if (!next) return 0;
    *number = *next;
    return 2;
  }
  if (rest[0] == '=') {
    rest.remove_prefix(1);
  } else if (is_long && !name_and_number_may_touch) {
    return 0;
  }
  const auto attached = c_number(rest);
  if (!attached) return 0;
  *number = *attached;
  return 1;
}

std::string joined(Args args) {
  std::string text = args[0];
  if (args.size() > 1) text += " " + args[1];
  return text;
}

Cut cut_cmake(Args args) {
  Cut cut;
  std::size_t i = 0;
  while (i < args.size() && args[i] != "--") {
    unsigned number = 0;
    std::size_t used = parallel_option(args, i, true, &number);
    const bool explicit_zero =
        used != 0 && number == 0 && joined(args.subspan(i, used)).back() == '0';
    if (used == 0 || explicit_zero) {
      used = std::max<std::size_t>(used, 1);
      cut.keep(args.subspan(i, used));
    } else {
      cut.remove(joined(args.subspan(i, used)), number);
    }
    i += used;
  }
  if (i == args.size()) return cut;
  Cut native = cut_make(args.subspan(i + 1));
  cut.keep(args.subspan(i, 1));
  cut.keep(native.surgery.args);
  for (std::string& text : native.surgery.removed) {
    cut.remove(std::move(text), native.jobs.value_or(0));
  }
  return cut;
}

Surgery strip_ctest(Args args) {
  constexpr std::array<std::string_view, 31> kWithValue = {"-R",
                                                           "--tests-regex",
                                                           "-E",
                                                           "--exclude-regex",
                                                           "-L",
                                                           "--label-regex",
                                                           "-LE",
                                                           "--label-exclude",
                                                           "-FA",
                                                           "--fixture-exclude-any",
                                                           "-FS",
                                                           "--fixture-exclude-setup",
                                                           "-FC",
                                                           "--fixture-exclude-cleanup",
                                                           "-I",
                                                           "--tests-information",
                                                           "-C",
                                                           "--build-config",
                                                           "-D",
                                                           "--dashboard",
                                                           "-M",
                                                           "--test-model",
                                                           "-T",
                                                           "--test-action",
                                                           "-O",
                                                           "--output-log",
                                                           "--output-junit",
                                                           "-S",
                                                           "--script",
                                                           "-A",
                                                           "--test-dir"};
  // In this mode most of the line belongs to other tools.
  if (std::ranges::find(args, "--build-and-test") != args.end()) return unchanged(args);
  Cut cut;
  bool limited = false;
  for (std::size_t i = 0; i < args.size();) {
    if (std::ranges::find(kWithValue, args[i]) != kWithValue.end()) {
      const std::size_t used = std::min<std::size_t>(2, args.size() - i);
      cut.keep(args.subspan(i, used));
      i += used;
      continue;
    }
    unsigned number = 0;
    const std::size_t used = parallel_option(args, i, false, &number);
    if (used == 0) {
      cut.keep(args.subspan(i++, 1));
      continue;
    }
    if (cut.surgery.removed.empty()) cut.surgery.args.emplace_back("-j0");
    cut.remove(joined(args.subspan(i, used)), number);
    limited |= number > 1;
    i += used;
  }
  return limited && cut.jobs != 1u ? std::move(cut.surgery) : unchanged(args, cut.jobs == 1u);
}

}  // namespace

Surgery strip_jobs(const Tool& tool, Args args) {
  Cut cut;
  if (tool.kind == ToolKind::make && tool.client) {
    cut = cut_make(args);
  } else if (tool.kind == ToolKind::ninja && tool.client) {
    cut = cut_ninja(args);
  } else if (tool.kind == ToolKind::cmake && !args.empty() && args[0] == "--build") {
    cut = cut_cmake(args);
  } else if (tool.kind == ToolKind::ctest && tool.client) {
    return strip_ctest(args);
  } else {
    return unchanged(args);
  }
  return cut.jobs == 1u ? unchanged(args, true) : std::move(cut.surgery);
}

std::optional<int> jobs_in(std::string_view removed) {
  constexpr std::size_t kMostDigits = 4;
  std::size_t digits = 0;
  while (digits < removed.size() && wire::is_digit(removed[removed.size() - 1 - digits])) ++digits;
  if (digits == 0 || digits > kMostDigits) return std::nullopt;
  const auto number = whole_number(removed.substr(removed.size() - digits));
  return number && *number > 0 ? std::optional(static_cast<int>(*number)) : std::nullopt;
}

}  // namespace tokenpool::dialect
