// `tokenpool exec`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tokenpool::cli {

/// Runs one command on a lease; `words` follow "exec". Answers the status to exit with.
int exec(const std::vector<std::string>& words);

/// The launcher under a name without a blank in it, for what takes one path and no arguments, as
/// cargo's RUSTC_WRAPPER.
inline constexpr std::string_view kLauncherName = "tokenpool-exec";

/// `tokenpool-exec [OPTION]... [--] CMD [ARG]...`: as `tokenpool exec`, but {slots} is not replaced
/// unless --slots is given, and for tools that a shim would know, type and target are told from the
/// command line, and a call that only answers a question takes no slot.
int exec_launcher(const std::vector<std::string>& words);

}  // namespace tokenpool::cli
