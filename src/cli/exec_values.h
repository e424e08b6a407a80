// The values of the options of `exec`.
#pragma once

#include <string>

#include "launcher/launcher.h"
#include "wire/error.h"

namespace tokenpool::cli {

/// Reads `text`, which is not empty, into *config. Error 2: a sentence that begins with the option
/// and the value, and says what to give; *config is as it was. Pure.
using ReadExecValue = wire::Result<void>(const std::string& text, launcher::LaunchConfig* config);

ReadExecValue read_slots, read_type, read_target, read_memory, read_priority, read_timeout,
    read_alone_after, read_nice;
/// "on" or "off".
ReadExecValue read_quiet;
/// Any text, also an empty one.
ReadExecValue read_width_for;

}  // namespace tokenpool::cli
