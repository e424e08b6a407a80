#include "cli/diagnosis.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <utility>

#include "cli/server_address.h"
#include "dialect/makeflags.h"

namespace tokenpool::cli {
namespace {

using Findings = std::vector<Finding>;

std::string refusal(const proc::Trial& trial) { return std::strerror(trial.error); }

std::string tracking_reason(const Facts& facts) {
  const proc::Probe& probe = facts.probe;
  if (!probe.processes) return "/proc is not mounted here, or is that of other processes";
  if (probe.listener.works()) {
    std::string reason = "the kernel reports each token call to a seccomp listener";
    if (!probe.memory_write.works()) {
      reason += "; a client's memory cannot be written (" + refusal(probe.memory_write) +
                "), so the calls are only counted";
    }
    if (!probe.pidfd_exit.works()) {
      reason +=
          "; how a process ended it learns from each that ends by itself, which costs that one "
          "a moment (the kernel tells it from Linux 6.15 on)";
    }
    return reason;
  }
  if (probe.listener.error == EBUSY) {
    return facts.surroundings ? "a tokenpool run surrounds this process and has the one seccomp "
                                "listener that a process can be under"
                              : "this process is already under a seccomp listener of somebody else "
                                "(a container runtime or a sandbox)";
  }
  return "the kernel or a sandbox refuses a seccomp listener (" + refusal(probe.listener) + ")";
}

void find_in_machine(const Facts& facts, Findings* findings) {
  const proc::Probe& probe = facts.probe;
  if (!probe.processes) {
    findings->push_back(
        {true, "tracking", "nobody can tell who holds a slot: " + tracking_reason(facts),
         "mount it (mount -t proc proc /proc); until then a plain jobserver serves, "
         "and what a killed process held is lost"});
  } else if (!probe.listener.works()) {
    findings->push_back({!facts.surroundings, "tracking",
                         "exact tracking is not possible here: " + tracking_reason(facts),
                         "run goes on with --track infer, which takes lost tokens back later"});
  } else if (probe.no_new_privs) {
    findings->push_back({false, "tracking",
                         "without CAP_SYS_ADMIN exact tracking sets no_new_privs: sudo and other "
                         "setuid programs do not work inside the build",
                         "use --track infer for a build that needs them"});
  }
  if (probe.listener.works() && !probe.memory_write.works()) {
    findings->push_back({true, "tracking",
                         "a client's memory cannot be written: " + refusal(probe.memory_write),
                         probe.ptrace_scope.value_or(0) > 0
                             ? "set /proc/sys/kernel/yama/ptrace_scope to 0, or run as root"
                             : "allow process_vm_writev(2), or use --track infer"});
  }
  if (!probe.pidfd.works()) {
    findings->push_back({true, "tracking", "pidfd_open(2) fails: " + refusal(probe.pidfd),
                         "use Linux 5.3 or later"});
  }
  if (facts.shims_folder.empty()) {
    findings->push_back(
        {false, "shims",
         "no shims are installed beside this program, so each run uses some that it "
         "makes among your data (XDG_DATA_HOME)",
         "install tokenpool completely, program and shims"});
  }
}

/// The rest of what is known of a tool (Tool::leaves) depends on how it is called, not on this
/// machine.
void find_in_tools(const Facts& facts, Findings* findings) {
  for (const ToolFacts& facts_of_one : facts.tools) {
    const dialect::Tool& tool = facts_of_one.tool;
    if (tool.client) continue;
    const bool make = tool.kind == dialect::ToolKind::make;
    const bool ninja = tool.kind == dialect::ToolKind::ninja;
    if (make || ninja) {
      findings->push_back({true, facts_of_one.name, facts_of_one.path + ": " + tool.leaves,
                           make ? "put GNU make first on PATH"
                                : "until then tokenpool run --wrap has each compiler that it "
                                  "starts take a slot; without that give it a -j of its own, also "
                                  "by cmake --build"});
    } else if (tool.kind == dialect::ToolKind::ctest) {
      findings->push_back({false, facts_of_one.name, facts_of_one.path + ": " + tool.leaves,
                           "until then leave its -j out: it runs one test at a time in the pool"});
    }
  }
}

bool lives(const Facts& facts, const dialect::JobserverWord& word) {
  return std::count(facts.alive.begin(), facts.alive.end(), word) > 0;
}

bool is_ours(const Facts& facts, const dialect::Makeflags& flags) {
  if (!facts.surroundings) return false;
  const auto descriptors = value_of(facts.environment, "TOKENPOOL_FDS");
  for (const dialect::JobserverWord& word : flags.jobservers) {
    const bool by_path = word.path == facts.surroundings->fifo;
    const bool by_descriptor =
        descriptors == std::to_string(word.read_fd) + "," + std::to_string(word.write_fd);
    if (!by_path && !by_descriptor) return false;
  }
  return true;
}

Finding foreign_jobserver(const Facts& facts, const std::string& name,
                          const dialect::JobserverWord& word) {
  if (word.form == dialect::JobserverWord::Form::negative) {
    return {false, name,
            "says that the make above keeps its jobserver to itself (" + word.text + ")",
            "run gives its build a pool of its own"};
  }
  if (lives(facts, word)) {
    return {
        true, name, "names a living jobserver of another build (" + word.text + ")",
        "run leaves that one alone and gives its build a pool of its own, so that both together "
        "run more jobs than either: call run outside of it"};
  }
  return {true, name, "names a dead jobserver of another build (" + word.text + ")",
          "run replaces it for its build; unset " + name + " for what you start without run"};
}

void find_in_flags(const Facts& facts, const std::string& name, Findings* findings) {
  const auto value = value_of(facts.environment, name);
  if (!value) return;
  const dialect::Makeflags flags = dialect::parse_makeflags(*value);
  if (!flags.jobservers.empty() && !is_ours(facts, flags)) {
    findings->push_back(foreign_jobserver(facts, name, flags.jobservers.back()));
  }
  if (name == "CARGO_MAKEFLAGS" && flags.jobservers.empty()) {
    // Set is enough: cargo and rustc take the first of the variables that is there, whatever it
    // says (see jobserver/environment.h).
    findings->push_back({facts.surroundings.has_value(), name,
                         "names no jobserver and hides MAKEFLAGS from cargo and rustc, which then "
                         "leave the pool",
                         facts.surroundings ? "unset it" : "run replaces it for its build"});
  } else if (flags.jobs && flags.jobservers.empty()) {
    findings->push_back({false, name,
                         "holds -j" + (*flags.jobs == 0 ? "" : std::to_string(*flags.jobs)),
                         "run replaces it by the pool; give run the number: tokenpool run -j N"});
  }
}

struct VariableRule {
  std::string_view name;
  std::string_view text;
  std::string_view remedy;
};

constexpr std::array<VariableRule, 2> kVariableRules{{
    {"CMAKE_BUILD_PARALLEL_LEVEL",
     "makes cmake --build pass a -j of its own, which leaves the pool",
     "run keeps it for tools that do not obey the pool only"},
    {"CTEST_PARALLEL_LEVEL", "sets the width of ctest beside the pool", "run replaces it"},
}};

void find_in_address(const Facts& facts, Findings* findings) {
  const std::string address = value_of(facts.environment, "TOKENPOOL_ADDR").value_or("");
  if (address.empty() || facts.client.reason == client::Reason::ok) return;
  const Barred barred = explain(facts.client.reason, address, facts.client.seen);
  findings->push_back({true, "TOKENPOOL_ADDR", "cannot be used: " + barred.why,
                       barred.remedy + ", or unset TOKENPOOL_ADDR"});
}

void find_in_environment(const Facts& facts, Findings* findings) {
  for (const char* name : {"MAKEFLAGS", "GNUMAKEFLAGS", "MFLAGS", "CARGO_MAKEFLAGS"}) {
    find_in_flags(facts, name, findings);
  }
  find_in_address(facts, findings);
  if (facts.surroundings) return;  // there they are what run has set
  for (const VariableRule& rule : kVariableRules) {
    if (value_of(facts.environment, rule.name).value_or("").empty()) continue;
    findings->push_back(
        {false, std::string(rule.name), std::string(rule.text), std::string(rule.remedy)});
  }
  const std::string make = value_of(facts.environment, "MAKE").value_or("");
  if (make.find('/') != std::string::npos || make.find(" -j") != std::string::npos) {
    findings->push_back({true, "MAKE",
                         "is '" + make + "': scripts and gcc start that make past its shim",
                         "unset MAKE, or set it to a plain make"});
  }
}

void find_in_defaults(const DefaultsFacts& defaults, Findings* findings) {
  if (!defaults.wrong.empty()) {
    findings->push_back({true, "configuration", defaults.wrong,
                         "until then run or exec starts nothing here, see tokenpool-config(5)"});
  }
  for (const std::string& note : defaults.notes) {
    findings->push_back({false, "configuration", note, ""});
  }
  if (defaults.files.empty() || !defaults.wrong.empty()) return;
  std::string files;
  for (const std::string& file : defaults.files) files += (files.empty() ? "" : " and ") + file;
  const auto& [min, max] = defaults.slots;
  const std::string slots =
      (min < max ? std::to_string(min) + " to " : std::string()) + std::to_string(max);
  findings->push_back({false, "configuration",
                       "run and exec go by " + files + ", a build without -j has " + slots +
                           (max == 1 ? " slot" : " slots"),
                       "TOKENPOOL_CONFIG=off tokenpool ... goes by no file"});
}

std::string slots_reason(const proc::Capacity& capacity) {
  std::string reason = "this process may use " + std::to_string(capacity.affinity) + " CPU" +
                       (capacity.affinity == 1 ? "" : "s");
  if (!capacity.quota) return reason + ", and no cgroup sets a quota";
  std::array<char, 32> quota{};
  std::snprintf(quota.data(), quota.size(), "%.2f", *capacity.quota);
  return reason + ", and " + capacity.quota_file + " allows " + quota.data();
}

}  // namespace

bool Diagnosis::well() const {
  return std::none_of(findings.begin(), findings.end(),
                      [](const Finding& finding) { return finding.attention; });
}

Diagnosis diagnose(const Facts& facts) {
  Diagnosis diagnosis;
  diagnosis.exact = facts.probe.processes && facts.probe.listener.works();
  diagnosis.tracking_reason = tracking_reason(facts);
  diagnosis.slots_reason = slots_reason(facts.capacity);
  Findings found;
  find_in_machine(facts, &found);
  find_in_tools(facts, &found);
  find_in_environment(facts, &found);
  find_in_defaults(facts.defaults, &found);
  for (const bool attention : {true, false}) {
    for (const Finding& finding : found) {
      if (finding.attention == attention) diagnosis.findings.push_back(finding);
    }
  }
  return diagnosis;
}

}  // namespace tokenpool::cli
