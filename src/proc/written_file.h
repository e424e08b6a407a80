// A file that the user has named for us to write.
#pragma once

#include <string>

namespace tokenpool::proc {

/// Writes `text` to a temporary name beside the file that `path` leads to and renames it; what is
/// no regular file (a pipe, a terminal, a device) is written to as it is. False, with errno, when
/// that fails; no temporary file is left.
bool write_file(const std::string& path, const std::string& text);

/// Whether write_file(path) can be expected to work. False, with errno, when it cannot.
bool may_write_file(const std::string& path);

}  // namespace tokenpool::proc
