// A shim of `run --wrap`: `cc`, `ld`, `rustc` ... on PATH, of which each call is one job.
//
// Where there is an arbiter around it, it runs the real tool as `tokenpool exec` does, with the
// type and target that the command line tells. What costs nothing goes to the real tool at once: a
// call that only answers a question, and what a wrapped compiler starts itself, as the ld below a
// gcc. Below any lease a job has no type of its own, lest it wait for the limit that the lease uses
// up. Outside, the real tool gets exactly what the shim got: CMake and others remember a shim's
// path.
#pragma once

#include <string>
#include <string_view>

#include "launcher/launcher.h"
#include "wire/error.h"

namespace tokenpool::shim {

/// Whether this process was started as such a shim; `name`: argv[0] without folders.
bool is_wrap_shim(std::string_view name);

/// Runs the tool `name` as one job, with the type and target that its arguments tell; at once where
/// it takes no slot. `config.command` begins with the path of the real tool. Answers the status to
/// exit with; errors are those of launch().
wire::Result<int> run_wrapped(const std::string& name, launcher::LaunchConfig config);

/// Answers the status to exit with, as `tokenpool exec` does: 127 where there is no real tool, 126
/// where it cannot be executed or shims of several installations call each other.
int wrap_main(int argc, char** argv);

}  // namespace tokenpool::shim
