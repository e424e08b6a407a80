#include "cli/slots.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string>
#include <system_error>

#include "control/governor.h"
#include "core/limits.h"

namespace tokenpool::cli {
namespace {

struct Number {
  bool whole = false;     ///< all of the text was one number
  bool too_long = false;  ///< it was, but it is beyond 64 bits
  std::int64_t value = 0;
};

Number read_number(std::string_view text) {
  Number number;
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const auto [stop, error] = std::from_chars(begin, end, number.value);
  number.too_long = error == std::errc::result_out_of_range;
  number.whole = stop == end && (error == std::errc() || number.too_long);
  return number;
}

tl::unexpected<wire::Error> refuse(std::string_view text, const std::string& why) {
  return tl::make_unexpected(wire::Error{2, "-j " + std::string(text) + ": " + why});
}

std::string what_to_give() {
  return "give 1-" + std::to_string(core::kMaxSlots) +
         ", MIN-MAX, cpus, cpus-1, 50% (of the CPUs) or auto";
}

/// Whether `number` can be one of slots; if not, the value `text` is refused.
wire::Result<int> check_slots(std::string_view text, const Number& number) {
  if (number.too_long || number.value > core::kMaxSlots) {
    if (text.starts_with('-')) return refuse(text, "no pool is that small, " + what_to_give());
    return refuse(text, "the pool's limit is " + std::to_string(core::kMaxSlots) +
                            ", because that is what every client's buffers and the smallest pipe "
                            "can hold, " +
                            what_to_give());
  }
  if (number.value < 1) {
    return refuse(text, "a build needs at least one slot, " + what_to_give());
  }
  return static_cast<int>(number.value);
}

/// One bound: a number, or one that goes by the CPUs, which is never less than 1.
Number read_bound(std::string_view text, int usable) {
  constexpr std::string_view kCpus = "cpus";
  Number number;
  if (text.starts_with(kCpus)) {
    const std::string_view rest = text.substr(kCpus.size());
    if (!rest.empty() && !rest.starts_with('-')) return number;
    const Number less = rest.empty() ? Number{.whole = true} : read_number(rest.substr(1));
    number.whole = less.whole && less.value >= 0;
    number.value = less.too_long ? 1 : std::max<std::int64_t>(1, usable - less.value);
    return number;
  }
  if (!text.ends_with('%')) return read_number(text);
  number = read_number(text.substr(0, text.size() - 1));
  // A share that is none is refused, and so is one beyond any pool.
  if (number.whole && !number.too_long && number.value > 0 && number.value <= 100'000) {
    number.value = std::max<std::int64_t>(1, usable * number.value / 100);
  }
  return number;
}

/// Both bounds of MIN-MAX: either may have a dash of its own.
bool read_range(std::string_view text, int usable, Number* low, Number* high) {
  for (auto dash = text.find('-', 1); dash < text.size(); dash = text.find('-', dash + 1)) {
    *low = read_bound(text.substr(0, dash), usable);
    *high = read_bound(text.substr(dash + 1), usable);
    if (low->whole && high->whole) return true;
  }
  return false;
}

}  // namespace

wire::Result<core::SlotRange> parse_slots(std::string_view text, int usable) {
  if (text == "auto") {
    return core::SlotRange{1, std::min(core::kMaxSlots, control::kMaxSlotsPerCpu * usable)};
  }
  if (const Number number = read_bound(text, usable); number.whole) {
    const auto slots = check_slots(text, number);
    if (!slots) return tl::make_unexpected(slots.error());
    return core::SlotRange{*slots, *slots};
  }
  Number low;
  Number high;
  if (read_range(text, usable, &low, &high)) {
    const auto min = check_slots(text, low);
    if (!min) return tl::make_unexpected(min.error());
    const auto max = check_slots(text, high);
    if (!max) return tl::make_unexpected(max.error());
    if (*min <= *max) return core::SlotRange{*min, *max};
    return refuse(text, "a range from more (" + std::to_string(*min) + ") to less (" +
                            std::to_string(*max) + "), give " + std::to_string(*max) + "-" +
                            std::to_string(*min));
  }
  if (text.empty()) return refuse("''", "an empty number of slots, " + what_to_give());
  return refuse(text, "not a number of slots, " + what_to_give());
}

}  // namespace tokenpool::cli
