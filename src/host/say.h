// What a command says while it runs.
#pragma once

#include <cstdio>
#include <string>

namespace tokenpool::host {

/// One line on stderr: "tokenpool COMMAND: TEXT".
inline void say(const char* command, const std::string& text) {
  std::fprintf(stderr, "tokenpool %s: %s\n", command, text.c_str());
}

}  // namespace tokenpool::host
