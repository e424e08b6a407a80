// What the file system tells of a server: its cookie, and its socket.
#pragma once

#include <optional>
#include <string>

#include "wire/error.h"

namespace tokenpool::cli {

/// The cookie in the file `path`, 64 hexadecimal digits and perhaps a newline. Nothing: there is no
/// such file. Error 1: it cannot be read, is no regular file, belongs to another user (but root),
/// is open to others, or holds no cookie; what it holds is not in the sentence.
wire::Result<std::optional<std::string>> read_cookie_file(const std::string& path);

/// What can be seen at the first Unix socket in `address` (as TOKENPOOL_ADDR has it) that nobody
/// answers at, as " (there is no such socket)"; empty where nothing can be told.
std::string why_nobody_answers(const std::string& address);

}  // namespace tokenpool::cli
