#include <cstdlib>
#include <utility>

#include "proc/user_cache.h"

namespace tokenpool::proc {

std::string user_cache() {
  for (const auto& [variable, below] : {std::pair{"XDG_CACHE_HOME", ""}, {"HOME", "/.cache"}}) {
    const char* value = std::getenv(variable);
    if (value == nullptr || *value != '/') continue;
    std::string folder = value;
    while (folder.ends_with('/')) folder.pop_back();
    return folder + below;
  }
  return {};
}

}  // namespace tokenpool::proc
