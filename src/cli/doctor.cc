#include "cli/doctor.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>

#include "cli/defaults.h"
#include "cli/diagnosis.h"
#include "cli/doctor_text.h"
#include "cli/exec_options.h"
#include "cli/help.h"
#include "cli/json.h"
#include "cli/neighbourhood.h"
#include "cli/options.h"
#include "cli/server_files.h"
#include "cli/terminal.h"
#include "dialect/makeflags.h"
#include "jobserver/environment.h"
#include "proc/environ.h"
#include "proc/tool.h"

namespace tokenpool::cli {
namespace {

constexpr std::array<std::string_view, 14> kTools{
    "make",  "gmake", "ninja", "ninja-build", "cmake", "ctest", "cargo",
    "rustc", "gcc",   "clang", "ld.lld",      "meson", "bazel", "scons"};

std::vector<ToolFacts> look_for_tools(const std::string& shims_folder) {
  std::vector<ToolFacts> found;
  const std::string path = proc::search_path();
  for (const std::string_view name : kTools) {
    const auto file = proc::find_tool(name, path, shims_folder);
    if (!file) continue;
    // A tool that does not tell its version is described as one of unknown version.
    const std::string output = proc::tool_version_output(*file).value_or("");
    found.push_back(
        {std::string(name), *file, dialect::describe_tool(dialect::tool_kind(name), output)});
  }
  return found;
}

/// Before anything else opens a descriptor that could be taken for one of theirs.
void look_at_jobservers(Facts* facts) {
  for (const char* name : {"MAKEFLAGS", "GNUMAKEFLAGS", "MFLAGS", "CARGO_MAKEFLAGS"}) {
    const auto value = value_of(facts->environment, name);
    if (!value) continue;
    for (const dialect::JobserverWord& word : dialect::parse_makeflags(*value).jobservers) {
      if (jobserver::is_alive(word)) facts->alive.push_back(word);
    }
  }
}

/// Connects and leaves: it asks for nothing.
ClientFacts try_client(const Environment& environment) {
  client::Options options;
  options.name = "tokenpool doctor";
  options.lease = 0;
  const auto pool = client::Pool::connect(options);
  ClientFacts found{pool->mode(), pool->reason(), pool->jobserver_reason(), {}};
  if (found.reason == client::Reason::unreachable) {
    found.seen = why_nobody_answers(value_of(environment, "TOKENPOOL_ADDR").value_or(""));
  }
  return found;
}

DefaultsFacts look_at_defaults(int usable_cpus) {
  DefaultsFacts facts;
  const auto defaults = own_defaults();
  if (!defaults) {
    facts.wrong = defaults.error().sentence;
    return facts;
  }
  for (const auto& file : {defaults->project, defaults->user}) {
    if (file) facts.files.push_back(file->file);
  }
  const auto run = parse_run({"true"}, usable_cpus, *defaults);
  const auto exec = parse_exec({"true"}, *defaults);
  if (!run || !exec) {
    facts.wrong = run ? exec.error().sentence : run.error().sentence;
    return facts;
  }
  facts.slots = run->config.slots;
  facts.notes = run->notes;
  for (const std::string& note : exec->notes) {
    if (std::ranges::find(run->notes, note) == run->notes.end()) facts.notes.push_back(note);
  }
  return facts;
}

Facts look_around() {
  Facts facts;
  facts.environment = proc::own_environment();
  look_at_jobservers(&facts);
  facts.client = try_client(facts.environment);
  facts.surroundings = own_surroundings();
  facts.shims_folder = jobserver::find_shims_folder();
  facts.capacity = proc::capacity();
  facts.defaults = look_at_defaults(facts.capacity.usable);
  facts.probe = proc::probe();
  facts.tools = look_for_tools(facts.shims_folder);
  return facts;
}

}  // namespace

int doctor(const std::vector<std::string>& words) {
  const auto options = parse_print("doctor", words);
  if (!options) return fail("doctor", options.error());
  const bool colour = use_colour(stdout);
  if (options->help) return print(stdout, help_text("doctor", colour)) ? 0 : 1;
  const Facts facts = look_around();
  const Diagnosis diagnosis = diagnose(facts);
  const std::string text = options->json ? to_json(facts, diagnosis)
                                         : to_text(facts, diagnosis, colour, options->verbose);
  return print(stdout, text) && diagnosis.well() ? 0 : 1;
}

}  // namespace tokenpool::cli
