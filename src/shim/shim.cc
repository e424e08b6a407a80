#include "shim/shim.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "dialect/cmake_tree.h"
#include "dialect/makeflags.h"
#include "dialect/tool.h"
#include "jobserver/environment.h"
#include "proc/environ.h"
#include "shim/cmake_build.h"
#include "shim/real_tool.h"
#include "shim/shim_files.h"
#include "shim/tool_process.h"

namespace tokenpool::shim {
namespace {

using dialect::ToolKind;

struct Call {
  std::string name;  ///< as invoked, without folders
  ToolKind kind = ToolKind::unknown;
  std::string path;               ///< of the real tool
  std::string own_shims;          ///< our folder, to be searched behind
  std::vector<std::string> args;  ///< without argv[0]
};

int execute(const Call& call, const char* as_invoked) {
  // cmake and ctest look for their data beside argv[0].
  const bool own_path = call.kind == ToolKind::cmake || call.kind == ToolKind::ctest;
  return become_tool(call.path, own_path ? call.path : as_invoked, call.args);
}

std::string listed(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::optional<dialect::Tool> make_on_path(const Call& call, const std::string& folder) {
  const auto path = real_tool("make", call.own_shims);
  if (!path) return std::nullopt;
  return known_tool(ToolKind::make, *path, folder);
}

bool is_make(ToolKind kind) { return kind == ToolKind::make || kind == ToolKind::bsd_make; }

// Whether a tool that is no client will run jobs beside the pool. CMake asks ninja for its version
// and maintains its log with -t when it configures, and shows nobody what is said then.
bool leaves_pool(const Call& call) {
  const auto has = [&](std::string_view prefix) {
    return std::ranges::any_of(call.args,
                               [&](const std::string& word) { return word.starts_with(prefix); });
  };
  if (call.kind == ToolKind::ctest) return has("-j") || has("--parallel");
  if (is_make(call.kind)) return has("-j");
  return call.kind != ToolKind::ninja || !(has("--version") || has("-t"));
}

std::string what_obeys(ToolKind kind) {
  if (kind == ToolKind::bsd_make) return "GNU make";
  if (kind == ToolKind::ninja) return "ninja 1.13 or later";
  if (kind == ToolKind::ctest) return "CMake 3.29 or later";
  if (kind == ToolKind::make) return "GNU make";
  return "the generator Ninja or Unix Makefiles";
}

void tell_outsider(const Call& call, const FoundTool& worker, const std::string& folder) {
  const dialect::Tool& tool = worker.tool;
  const bool other_make = is_make(call.kind);
  if (call.kind != ToolKind::cmake && !other_make && !tool.version) return;
  if (!leaves_pool(call)) return;
  // What it starts are jobs of the pool one by one.
  const bool starts_compilers = tool.kind != ToolKind::ctest;
  if (starts_compilers && !proc::own_variable("TOKENPOOL_WRAP").empty()) return;
  const std::string name = worker.path.substr(worker.path.find_last_of('/') + 1);
  if (!claim(folder, "outside-" + name)) return;
  say_as_shim(name + (tool.version ? " " + tool.version_text : "") + " at " + worker.path +
              " does not obey the pool: that needs " + what_obeys(tool.kind) +
              (starts_compilers
                   ? ", or tokenpool run --wrap, under which each compiler takes a slot"
                   : ""));
}

void drop_parallel_level(const std::string& folder) {
  const std::string level(proc::own_variable("CMAKE_BUILD_PARALLEL_LEVEL"));
  if (level.empty() || level == "1") return;
  unsetenv("CMAKE_BUILD_PARALLEL_LEVEL");
  if (claim(folder, "level-cmake")) {
    say_as_shim("took CMAKE_BUILD_PARALLEL_LEVEL=" + level +
                " away from cmake: the pool's slots decide");
  }
}

// It limits a tool that does not obey the pool, so what `run` has taken away comes back.
void restore_parallel_level() {
  const std::string level(proc::own_variable("TOKENPOOL_CMAKE_LEVEL"));
  if (!level.empty()) setenv("CMAKE_BUILD_PARALLEL_LEVEL", level.c_str(), 0);
}

// Those that a -j is for: the tool itself, but cmake hands it on. Empty: nothing is known of them.
std::vector<FoundTool> workers_of(const Call& call, const dialect::Tool& tool,
                                  const std::string& folder) {
  if (call.kind != ToolKind::cmake) return {{call.path, tool}};
  if (!dialect::is_cmake_build(call.args)) return {};
  return cmake_builders(call.args, call.own_shims, folder);
}

// A make that is no GNU make dies of the words that name a jobserver, and whoever reads a path
// that is not there does, too; what else MAKEFLAGS has stays.
void take_jobserver_out() {
  const dialect::Makeflags flags = dialect::parse_makeflags(proc::own_variable("MAKEFLAGS"));
  if (flags.jobservers.empty()) return;
  const std::string rest = dialect::compose_makeflags(flags);
  if (rest.empty()) {
    unsetenv("MAKEFLAGS");
  } else {
    setenv("MAKEFLAGS", rest.c_str(), 1);
  }
}

// The words of a run whose FIFO is out of sight: in a sandbox with a /tmp of its own.
void forget_lost_pool() {
  const dialect::Makeflags flags = dialect::parse_makeflags(proc::own_variable("MAKEFLAGS"));
  const bool lost =
      !flags.jobservers.empty() && std::ranges::all_of(flags.jobservers, [](const auto& word) {
        return jobserver::names_pool_in_environment(word);
      });
  if (!lost) return;
  say_as_shim("the pool's FIFO " + std::string(proc::own_variable("TOKENPOOL_FIFO")) +
              " cannot be opened here; what is started from here on runs outside of the pool");
  take_jobserver_out();
}

// Puts the tool into the pool: MAKEFLAGS, descriptors, arguments.
void join(Call* call, const dialect::Jobserver& pool) {
  const dialect::Makeflags flags = dialect::parse_makeflags(proc::own_variable("MAKEFLAGS"));
  const bool is_gnu_make = call->kind == ToolKind::make;
  if ((is_gnu_make || call->kind == ToolKind::cmake) && flags.serial()) return;
  const std::string folder = tools_folder(pool.fifo);
  // A BSD make knows no --version: it may take it for something to make.
  const dialect::Tool tool = call->kind == ToolKind::bsd_make
                                 ? dialect::describe_tool(call->kind, "")
                                 : known_tool(call->kind, call->path, folder);
  const std::vector<FoundTool> workers = workers_of(*call, tool, folder);
  const auto outsider =
      std::ranges::find_if(workers, [](const FoundTool& worker) { return !worker.tool.client; });
  const bool obeys = outsider == workers.end();
  dialect::Surgery surgery =
      obeys ? dialect::strip_jobs(tool, call->args) : dialect::Surgery{call->args, {}, false};
  if (!obeys) tell_outsider(*call, *outsider, folder);
  if (!obeys && is_make(call->kind)) return take_jobserver_out();
  if (call->kind == ToolKind::cmake && !obeys) restore_parallel_level();
  if (call->kind == ToolKind::cmake && obeys && !surgery.serial) drop_parallel_level(folder);
  if (is_gnu_make && surgery.serial) {
    // It would resign from the jobserver by itself, but with a warning.
    setenv("MAKEFLAGS", dialect::compose_makeflags(flags).c_str(), 1);
    return;
  }
  std::optional<dialect::Tool> make = is_gnu_make ? tool : make_on_path(*call, folder);
  // cmake only passes MAKEFLAGS on, to a tool that it may execute past that tool's shim.
  const dialect::Tool& reader = obeys && workers.size() == 1 ? workers.front().tool : tool;
  const dialect::Dialect dialect = dialect::dialect_for(reader, make);
  const dialect::Jobserver held = dialect == dialect::Dialect::fifo ? pool : hold_ends(pool);
  setenv("MAKEFLAGS", dialect::compose_makeflags(flags, held, dialect).c_str(), 1);
  if (!surgery.removed.empty() && claim(folder, "jobs-" + std::string(to_string(call->kind)))) {
    const auto jobs = dialect::jobs_in(surgery.removed.back());
    const bool other = jobs && *jobs != pool.slots;
    say_as_shim("took " + listed(surgery.removed) + " off " + call->name + ": the pool decides (" +
                std::to_string(pool.slots) + (pool.slots == 1 ? " slot" : " slots") + ")" +
                (other ? "; for " + std::to_string(*jobs) + " give that to tokenpool run: -j" +
                             std::to_string(*jobs)
                       : ""));
  }
  call->args = std::move(surgery.args);
}

}  // namespace

int shim_main(int argc, char** argv) {
  const std::string invoked = argc > 0 ? argv[0] : "make";
  Call call;
  call.name = invoked.substr(invoked.find_last_of('/') + 1);
  call.kind = dialect::tool_kind(call.name);
  if (argc > 1) call.args.assign(argv + 1, argv + argc);
  const auto pool = jobserver::pool_in_environment();
  call.own_shims = pool ? pool->shims_folder : std::string();
  if (call.own_shims.empty()) call.own_shims = jobserver::find_shims_folder();
  const auto path = real_tool(call.name, call.own_shims);
  if (!path) {
    say_as_shim("cannot run '" + call.name + "': there is only its shim on PATH; install " +
                call.name);
    return 127;
  }
  call.path = *path;
  if (goes_in_a_circle()) {
    say_as_shim("cannot run '" + call.name +
                "': shims of several installations call each other, the last '" + call.path +
                "'; take their folders out of PATH");
    return 126;
  }
  if (pool) {
    join(&call, pool->jobserver);
  } else {
    forget_lost_pool();
  }
  return execute(call, invoked.c_str());
}

}  // namespace tokenpool::shim
