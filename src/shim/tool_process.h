// How a shim becomes the real tool.
#pragma once

#include <string>
#include <vector>

namespace tokenpool::shim {

/// One line on stderr, in one call, so that lines of several shims do not mix.
void say_as_shim(const std::string& text);

/// To be called once in each shim. True: this process has been a shim so often already that those
/// of several installations must be calling each other.
bool goes_in_a_circle();

/// The path by which this process was executed, as the kernel was told it: where argv[0] is "cc",
/// this is the file that was found on PATH. Empty where the kernel does not tell.
std::string executed_path();

/// Becomes the program at `path`. Returns only if that fails, after one line on stderr: 127 where
/// it is gone, else 126.
int become_tool(const std::string& path, const std::string& argv0,
                const std::vector<std::string>& args);

}  // namespace tokenpool::shim
