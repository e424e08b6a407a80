// Where the user's programs keep what can be made again.
#pragma once

#include <string>

namespace tokenpool::proc {

/// $XDG_CACHE_HOME, else $HOME/.cache (XDG Base Directory Specification), without a slash at its
/// end; it need not be there. Empty: neither is an absolute path.
std::string user_cache();

}  // namespace tokenpool::proc
