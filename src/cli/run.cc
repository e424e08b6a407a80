#include "cli/run.h"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <span>
#include <string>

#include "cli/defaults.h"
#include "cli/help.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "dialect/tool.h"
#include "front/run.h"
#include "proc/capacity.h"
#include "proc/environ.h"
#include "proc/say.h"
#include "proc/tool.h"

namespace tokenpool::cli {
namespace {

/// What a tool is told of its number of jobs that no shim will take off, so that it leaves the
/// pool.
std::optional<std::string> misplaced_jobs(const front::RunConfig& config) {
  const std::string& command = config.command.front();
  const bool past_shims = !config.shims || command.find('/') != std::string::npos;
  const std::span<const std::string> args(config.command.begin() + 1, config.command.end());
  const bool may_be_jobs = std::any_of(args.begin(), args.end(), [](const std::string& word) {
    return word.starts_with('-') && word.find_first_of("jp") != std::string::npos;
  });
  const dialect::ToolKind kind = dialect::tool_kind(command.substr(command.rfind('/') + 1));
  if (!past_shims || !may_be_jobs || kind == dialect::ToolKind::unknown) return std::nullopt;
  const auto path = proc::find_tool(command, proc::search_path(), {});
  const auto version = path ? proc::tool_version_output(*path) : std::string();
  if (!version) return std::nullopt;
  const dialect::Surgery surgery =
      dialect::strip_jobs(dialect::describe_tool(kind, *version), args);
  if (surgery.removed.empty()) return std::nullopt;
  return surgery.removed.back();
}

void tell_of_misplaced_jobs(const front::RunConfig& config) {
  const auto word = config.quiet ? std::nullopt : misplaced_jobs(config);
  if (!word) return;
  const auto jobs = dialect::jobs_in(*word);
  proc::say("run",
            config.command.front() + " has " + *word +
                ", by which it leaves the pool: give that to tokenpool run, before the "
                "command" +
                (jobs ? ": tokenpool run -j" + std::to_string(*jobs) + " " + config.command.front()
                      : std::string()));
}

}  // namespace

int run(const std::vector<std::string>& words) {
  const auto defaults = own_defaults();
  if (!defaults) return fail("run", defaults.error());
  const auto options = parse_run(words, proc::usable_cpus(), *defaults);
  if (!options) return fail("run", options.error());
  if (options->help) return print(stdout, help_text("run", use_colour(stdout))) ? 0 : 1;
  for (const std::string& note : options->notes) proc::say("run", note);
  forget_run_variables();
  tell_of_misplaced_jobs(options->config);
  return front::run(options->config);
}

}  // namespace tokenpool::cli
