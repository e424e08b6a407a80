// What a command says while it runs.
#pragma once

#include <cstdio>
#include <string>

#include "wire/plain_text.h"

namespace tokenpool::proc {

/// One line on stderr: "tokenpool COMMAND: TEXT". Whatever stands in it cannot control the
/// terminal.
inline void say(const char* command, const std::string& text) {
  std::fprintf(stderr, "tokenpool %s: %s\n", command, wire::clean_line(text).c_str());
}

}  // namespace tokenpool::proc
