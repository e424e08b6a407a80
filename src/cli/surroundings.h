// The pool that surrounds a process, found in the environments of the process and of its ancestors.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tokenpool::cli {

/// "NAME=value" strings.
using Environment = std::vector<std::string>;

/// The value of `name`, if it is set.
std::optional<std::string> value_of(const Environment& environment, std::string_view name);

/// What to change in an environment so that it belongs to the pool.
struct Surroundings {
  std::string fifo;                                      ///< the pool's FIFO
  std::vector<std::pair<std::string, std::string>> set;  ///< name and value, sorted by name
  std::vector<std::string> unset;                        ///< sorted
  friend bool operator==(const Surroundings&, const Surroundings&) = default;
};

/// The pool is that of the nearest environment, `own` first, then `ancestors` (nearest first),
/// whose TOKENPOOL_FIFO satisfies `is_alive`. The values come from the farthest environment of the
/// same pool, because that is the one `tokenpool run` composed: every make on the way rewrites
/// MAKEFLAGS. PATH is in `set` when the shims folder is not first on the PATH of `own`. Variables
/// whose names are no shell names are left out. Nothing when no pool surrounds the process. Pure
/// but for `is_alive`.
std::optional<Surroundings> find_surroundings(
    const Environment& own, const std::vector<Environment>& ancestors,
    const std::function<bool(const std::string& fifo)>& is_alive);

/// `surroundings` as commands for a POSIX shell, each on a line of its own. They also put the shims
/// first on PATH in a shell where they are not, which need not be one of this environment.
std::string to_shell(const Surroundings& surroundings);

}  // namespace tokenpool::cli
