// What our own calls answer when something that can be expected to fail has failed.
#pragma once

#include <string>

#include <tl/expected.hpp>

namespace tokenpool::wire {

/// A failure that the user can do something about.
struct Error {
  int status = 125;  ///< what the program exits with: 2 usage, 125 ours, 126/127 CMD cannot be run
  std::string sentence;  ///< one line: what was tried, on what, why it failed, what to do next
  friend bool operator==(const Error&, const Error&) = default;
};

template <typename T>
using Result = tl::expected<T, Error>;

}  // namespace tokenpool::wire
