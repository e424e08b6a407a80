#include "shim/wrap_shim.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

#include <unistd.h>

#include "dialect/wrapped_call.h"
#include "dialect/wrapped_tool.h"
#include "jobserver/shim_folder.h"
#include "proc/environ.h"
#include "proc/say.h"
#include "proc/tool.h"
#include "shim/tool_process.h"

namespace tokenpool::shim {
namespace {

using dialect::WrappedKind;

std::string last_part(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

std::string folder_of(const std::string& path) {
  return path.find('/') == std::string::npos ? "" : path.substr(0, path.find_last_of('/'));
}

bool is_part_of_job() {
  return !proc::own_variable("TOKENPOOL_WRAPPED").empty() &&
         proc::own_variable("TOKENPOOL_WRAPPED") == proc::own_variable("TOKENPOOL_LEASE");
}

// A compiler that CMake has found is a shim's path. ccache would look at the shim to see whether
// the compiler has changed; of a bare name it finds the real one (CCACHE_PATH).
void name_real_compiler(std::vector<std::string>* args) {
  for (std::string& word : *args) {
    if (word.starts_with('-')) return;
    if (word.find('=') != std::string::npos) continue;
    const bool shim = word.find('/') != std::string::npos && jobserver::is_in_wrap_folder(word);
    if (shim) word = last_part(word);
    return;
  }
}

}  // namespace

wire::Result<int> run_wrapped(const std::string& name, launcher::LaunchConfig config) {
  std::vector<std::string> args(config.command.begin() + 1, config.command.end());
  const WrappedKind kind = dialect::wrapped_kind(name);
  dialect::WrappedCall call = dialect::describe_call(name, args);
  if (kind == WrappedKind::launcher) {
    name_real_compiler(&args);
    config.command.resize(1);
    config.command.insert(config.command.end(), args.begin(), args.end());
  }
  if (!call.works || is_part_of_job()) {
    return become_tool(config.command.front(), config.command.front(), args);
  }
  // What a tool of another kind starts may be jobs of their own.
  config.whole = kind != WrappedKind::unknown;
  // Who starts a compiler may read what it says, as cargo and configure do.
  config.waits_silently = isatty(2) != 1;
  if (config.wanted.type.empty() && proc::own_variable("TOKENPOOL_LEASE").empty()) {
    config.wanted.type = std::move(call.type);
  }
  if (config.wanted.target.empty()) config.wanted.target = std::move(call.target);
  return launcher::launch(config);
}

bool is_wrap_shim(std::string_view name) {
  if (name.starts_with("tokenpool")) return false;
  return dialect::wrapped_kind(name) != WrappedKind::unknown ||
         jobserver::is_in_wrap_folder(executed_path());
}

int wrap_main(int argc, char** argv) {
  const std::string name = last_part(argv[0]);
  const auto path = proc::find_tool(name, proc::search_path(), folder_of(executed_path()));
  if (!path) {
    say_as_shim("cannot run '" + name + "': there is only its shim on PATH; install " + name);
    return 127;
  }
  if (goes_in_a_circle()) {
    say_as_shim("cannot run '" + name + "': shims of several installations call each other, the " +
                "last '" + *path + "'; take their folders out of PATH");
    return 126;
  }
  launcher::LaunchConfig config;
  config.verbatim = true;
  config.command.push_back(*path);
  config.command.insert(config.command.end(), argv + 1, argv + argc);
  if (!proc::own_variable("TOKENPOOL_ADDR").empty()) {
    const auto status = run_wrapped(name, std::move(config));
    if (status) return *status;
    proc::say("exec", status.error().sentence);
    return status.error().status;
  }
  config.command.erase(config.command.begin());
  return become_tool(*path, *path, config.command);
}

}  // namespace tokenpool::shim
