// The help texts.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tokenpool::cli {

/// "0.1.0".
std::string_view version();

/// The commands by name, in the order in which the help shows them.
const std::vector<std::string>& command_names();

/// The help of `command`, of the program itself when it is empty; empty when there is no such
/// command. Headings are bold when `colour` is true.
std::string help_text(std::string_view command, bool colour);

}  // namespace tokenpool::cli
