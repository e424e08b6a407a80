// Which of the known words a mistyped one was probably meant to be.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace tokenpool::cli {

/// The candidate that `word` turns into with the fewest letters inserted, left out, changed or
/// swapped, if a third of the word's letters (at least one, at most three) suffice; empty when
/// nothing is that near. Pure.
std::string nearest(std::string_view word, std::span<const std::string> candidates);

}  // namespace tokenpool::cli
