// Files that others wrote.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace tokenpool::proc {

/// The first `most` bytes of the regular file `path`, all of it where it is shorter. Empty: it
/// cannot be read or is no regular file (a FIFO is not waited for). No descriptor is left.
std::optional<std::string> read_start(const std::string& path, std::size_t most);

}  // namespace tokenpool::proc
