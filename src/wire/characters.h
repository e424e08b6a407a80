// What a character is, in ASCII and whatever the locale. Pure.
#pragma once

namespace tokenpool::wire {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace tokenpool::wire
