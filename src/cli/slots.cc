#include "cli/slots.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string>
#include <system_error>

#include "core/governor.h"
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
  return "give 1-" + std::to_string(core::kMaxSlots) + ", MIN-MAX, cpus or auto";
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

}  // namespace

wire::Result<core::SlotRange> parse_slots(std::string_view text, int usable) {
  if (text == "cpus") return core::SlotRange{usable, usable};
  if (text == "auto") {
    return core::SlotRange{1, std::min(core::kMaxSlots, core::kMaxSlotsPerCpu * usable)};
  }
  const Number number = read_number(text);
  if (number.whole) {
    const auto slots = check_slots(text, number);
    if (!slots) return tl::make_unexpected(slots.error());
    return core::SlotRange{*slots, *slots};
  }
  if (const auto dash = text.find('-'); dash != std::string_view::npos && dash > 0) {
    const Number low = read_number(text.substr(0, dash));
    const Number high = read_number(text.substr(dash + 1));
    if (low.whole && high.whole) {
      const auto min = check_slots(text, low);
      if (!min) return tl::make_unexpected(min.error());
      const auto max = check_slots(text, high);
      if (!max) return tl::make_unexpected(max.error());
      if (*min <= *max) return core::SlotRange{*min, *max};
      return refuse(text, "a range from more to less, give " + std::string(text.substr(dash + 1)) +
                              "-" + std::string(text.substr(0, dash)));
    }
  }
  if (text.empty()) return refuse("''", "an empty number of slots, " + what_to_give());
  return refuse(text, "not a number of slots, " + what_to_give());
}

}  // namespace tokenpool::cli
