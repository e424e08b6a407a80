#include "cli/exec.h"

#include <cstdio>
#include <utility>

#include "cli/exec_options.h"
#include "cli/help.h"
#include "cli/terminal.h"
#include "dialect/wrapped_tool.h"
#include "launcher/launcher.h"
#include "proc/tool.h"
#include "shim/wrap_shim.h"

namespace tokenpool::cli {
namespace {

// What a launcher runs, with the type and target that a command line tells.
wire::Result<int> run_told(launcher::LaunchConfig config) {
  config.verbatim = config.wanted.max <= 1;
  const std::string command = config.command.front();
  const std::string name = command.substr(command.find_last_of('/') + 1);
  if (dialect::wrapped_kind(name) == dialect::WrappedKind::unknown) return launcher::launch(config);
  // A shim would only ask once more.
  auto path = proc::find_tool(command, proc::search_path(), {});
  if (!path) path = proc::find_tool(name, proc::search_path(), {});
  if (!path) return launcher::launch(config);
  config.command.front() = *path;
  return shim::run_wrapped(name, std::move(config));
}

template <typename Run>
int run_job(const std::vector<std::string>& words, const Run& run) {
  auto options = read_exec(words);
  if (!options) return fail("exec", options.error());
  if (options->help) return print(stdout, help_text("exec", use_colour(stdout))) ? 0 : 1;
  const auto status = run(std::move(options->config));
  return status ? *status : fail("exec", status.error());
}

}  // namespace

int exec(const std::vector<std::string>& words) { return run_job(words, launcher::launch); }

int exec_launcher(const std::vector<std::string>& words) { return run_job(words, run_told); }

}  // namespace tokenpool::cli
