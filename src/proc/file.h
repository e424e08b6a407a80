// Files that others wrote.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include <sys/types.h>

namespace tokenpool::proc {

/// The first `most` bytes of the regular file `path`, all of it where it is shorter. Empty: it
/// cannot be read or is no regular file (a FIFO is not waited for). No descriptor is left.
std::optional<std::string> read_start(const std::string& path, std::size_t most);

struct TrustedText {
  bool is_there = false;
  std::string text;     ///< all of the file
  std::string why_not;  ///< it is there and not to be believed, or not to be read: "it ..."
};

/// The file `path` if nobody but `user` and root can have written it: both it and a link that leads
/// to it are theirs, and not everybody may write to it. It is a regular one of at most `most`
/// bytes. No descriptor is left.
TrustedText read_trusted(const std::string& path, uid_t user, std::size_t most);

}  // namespace tokenpool::proc
