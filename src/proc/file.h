// Files that others wrote, and small ones that we keep for them.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

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

/// Puts a file with `text` (mode 0600) in the place of `path`, under a name of its own until it is
/// whole: whoever reads it meanwhile finds the old one or the new one. Where that cannot be done
/// all stays as it was.
void replace_file(const std::string& path, const std::string& text);

/// Sixteen hexadecimal digits that stand for `text` in a file's name: FNV-1a, 64 bits.
std::string hashed_name(std::string_view text);

}  // namespace tokenpool::proc
