// Tools on this machine: where the real one is, and what it says about itself.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "wire/error.h"

namespace tokenpool::proc {

/// The first executable file `name` on `path` (a PATH string; an empty entry is the current folder)
/// that is none of our shims: neither in `own_folder` (may be empty) nor this very program under
/// another name nor a program called tokenpool, which is another installation. Entries behind
/// `own_folder` come first, so that a wrapper in front of it is not called in a circle.
/// A name with a slash is taken as it is, under the same conditions. Empty: there is none.
std::optional<std::string> find_tool(std::string_view name, std::string_view path,
                                     const std::string& own_folder);

/// PATH of this process, or the system's default where it is not set.
std::string search_path();

/// What `TOOL --version` prints on stdout, at most its first 4 KiB. stdin and stderr are /dev/null,
/// the MAKEFLAGS variables are taken out of its environment. Fails if it cannot be started, does
/// not end its output within 5 s (then it is killed), or ends with another status than 0. No
/// process and no descriptor is left. Not for a process that reaps children elsewhere.
wire::Result<std::string> tool_version_output(const std::string& tool);

}  // namespace tokenpool::proc
