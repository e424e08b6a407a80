#include "cli/exec_values.h"

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "cli/command_line.h"
#include "cli/nice.h"
#include "core/limits.h"
#include "wire/limits.h"

namespace tokenpool::cli {
namespace {

std::string slots_to_give() {
  return "give a number of slots, 1-" + std::to_string(core::kMaxSlots) +
         ", or a range such as 1-8";
}

/// Seconds with up to three decimals.
wire::Result<client::Milliseconds> read_seconds(const std::string& option,
                                                const std::string& text) {
  const std::size_t point = std::min(text.find('.'), text.size());
  std::string decimals = point < text.size() ? text.substr(point + 1) : "0";
  const auto seconds = number_of(std::string_view(text).substr(0, point));
  const bool lawful = !decimals.empty() && decimals.size() <= 3 && decimals.front() != '-';
  decimals.resize(3, '0');
  const auto thousandths = number_of(decimals);
  if (!seconds || !thousandths || !lawful || text.front() == '-' ||
      *seconds > wire::kMaxTimeoutMs / 1000 ||
      *seconds * 1000 + *thousandths > wire::kMaxTimeoutMs) {
    return usage(option + " " + text + ": no time to wait, give seconds, 0 to " +
                 std::to_string(wire::kMaxTimeoutMs / 1000) + ", for example 60 or 0.5");
  }
  return client::Milliseconds(*seconds * 1000 + *thousandths);
}

}  // namespace

wire::Result<void> read_slots(const std::string& text, launcher::LaunchConfig* config) {
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

wire::Result<void> read_type(const std::string& text, launcher::LaunchConfig* config) {
  const bool lawful = std::all_of(text.begin(), text.end(), [](char letter) {
    return (letter >= 'A' && letter <= 'Z') || (letter >= 'a' && letter <= 'z') ||
           (letter >= '0' && letter <= '9') || letter == '_' || letter == '.' || letter == '-';
  });
  if (!lawful || text.size() > wire::kMaxTypeBytes) {
    return usage("--type " + text + ": no name of a type, give at most " +
                 std::to_string(wire::kMaxTypeBytes) +
                 " letters, digits, _ . and -, for example link");
  }
  config->wanted.type = text;
  return {};
}

wire::Result<void> read_target(const std::string& text, launcher::LaunchConfig* config) {
  config->wanted.target = text;
  return {};
}

wire::Result<void> read_memory(const std::string& text, launcher::LaunchConfig* config) {
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

wire::Result<void> read_priority(const std::string& text, launcher::LaunchConfig* config) {
  const auto priority = number_of(text);
  if (!priority || *priority < -wire::kMaxPriority || *priority > wire::kMaxPriority) {
    return usage("--priority " + text + ": no priority, give -" +
                 std::to_string(wire::kMaxPriority) + " to " + std::to_string(wire::kMaxPriority) +
                 ", higher comes first");
  }
  config->wanted.priority = static_cast<int>(*priority);
  return {};
}

wire::Result<void> read_timeout(const std::string& text, launcher::LaunchConfig* config) {
  const auto time = read_seconds("--timeout", text);
  if (!time) return tl::unexpected(time.error());
  config->wanted.timeout = *time;
  return {};
}

wire::Result<void> read_alone_after(const std::string& text, launcher::LaunchConfig* config) {
  const auto time = read_seconds("--alone-after", text);
  if (!time) return tl::unexpected(time.error());
  config->alone_after = *time;
  return {};
}

wire::Result<void> read_nice(const std::string& text, launcher::LaunchConfig* config) {
  const auto niceness = parse_nice(text);
  if (!niceness) return tl::unexpected(niceness.error());
  config->nice = *niceness;
  return {};
}

wire::Result<void> read_quiet(const std::string& text, launcher::LaunchConfig* config) {
  if (text != "on" && text != "off") return usage(text + ": no such choice, give on or off");
  config->quiet = text == "on";
  return {};
}

wire::Result<void> read_width_for(const std::string& text, launcher::LaunchConfig* config) {
  config->width_for = text;
  return {};
}

}  // namespace tokenpool::cli
