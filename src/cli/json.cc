#include "cli/json.h"

#include <string_view>

#include <nlohmann/json.hpp>

#include "cli/help.h"
#include "wire/plain_text.h"

namespace tokenpool::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string printed(const Json& json) {
  return wire::clean_json(json.dump(2, ' ', false, Json::error_handler_t::replace)) + "\n";
}

Json json_of(const proc::Trial& trial) {
  return {{"works", trial.works()}, {"errno", trial.error}};
}

std::string_view name_of(proc::CgroupLayout layout) {
  switch (layout) {
    case proc::CgroupLayout::none:
      return "none";
    case proc::CgroupLayout::v1:
      return "v1";
    case proc::CgroupLayout::hybrid:
      return "hybrid";
    case proc::CgroupLayout::v2:
      return "v2";
  }
  return "none";
}

Json or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

Json machine_json(const proc::Probe& probe) {
  return {{"kernel", probe.kernel},
          {"seccomp_listener", json_of(probe.listener)},
          {"no_new_privs", probe.no_new_privs},
          {"sync_wake_up", json_of(probe.sync_wake_up)},
          {"memory_write", json_of(probe.memory_write)},
          {"pidfd_open", json_of(probe.pidfd)},
          {"pidfd_info_exit", json_of(probe.pidfd_exit)},
          {"cgroup",
           {{"layout", name_of(probe.cgroup)},
            {"folder", or_null(probe.cgroup_folder)},
            {"sub_cgroup", json_of(probe.sub_cgroup)},
            {"kill", probe.cgroup_kill}}},
          {"pressure", json_of(probe.pressure)},
          {"ptrace_scope", probe.ptrace_scope ? Json(*probe.ptrace_scope) : Json(nullptr)},
          {"user",
           {{"uid", probe.uid},
            {"cap_sys_admin", probe.sys_admin},
            {"user_namespace", probe.user_namespace},
            {"container", or_null(probe.container)}}},
          {"fanotify_pids", json_of(probe.fanotify_pids)},
          {"inotify", json_of(probe.inotify)}};
}

Json slots(const proc::Capacity& capacity, const std::string& reason) {
  return {{"default", capacity.usable},
          {"reason", reason},
          {"affinity", capacity.affinity},
          {"quota", capacity.quota ? Json(*capacity.quota) : Json(nullptr)},
          {"quota_file", or_null(capacity.quota_file)}};
}

}  // namespace

std::string to_json(const Facts& facts, const Diagnosis& diagnosis) {
  Json tools = Json::array();
  for (const ToolFacts& tool : facts.tools) {
    tools.push_back(
        {{"name", tool.name},
         {"path", tool.path},
         {"kind", dialect::to_string(tool.tool.kind)},
         {"version", or_null(tool.tool.version_text)},
         {"client", tool.tool.client},
         {"dialect", tool.tool.dialect ? Json(dialect::to_string(*tool.tool.dialect)) : Json()},
         {"leaves", or_null(tool.tool.leaves)}});
  }
  Json findings = Json::array();
  for (const Finding& finding : diagnosis.findings) {
    findings.push_back({{"attention", finding.attention},
                        {"subject", finding.subject},
                        {"text", finding.text},
                        {"remedy", or_null(finding.remedy)}});
  }
  return printed(
      {{"schema", "tokenpool-doctor"},
       {"version", 1},
       {"tokenpool", version()},
       {"well", diagnosis.well()},
       {"tracking", diagnosis.exact ? "exact" : "infer"},
       {"tracking_reason", diagnosis.tracking_reason},
       {"slots", slots(facts.capacity, diagnosis.slots_reason)},
       {"surrounding_fifo", facts.surroundings ? Json(facts.surroundings->fifo) : Json(nullptr)},
       {"client",
        {{"mode", client::to_string(facts.client.mode)},
         {"reason", client::to_string(facts.client.reason)},
         {"jobserver_reason", client::to_string(facts.client.jobserver)}}},
       {"shims", or_null(facts.shims_folder)},
       {"machine", machine_json(facts.probe)},
       {"tools", tools},
       {"findings", findings}});
}

std::string to_json(const Surroundings& surroundings) {
  Json set = Json::object();
  for (const auto& [name, value] : surroundings.set) set[name] = value;
  return printed(
      {{"schema", "tokenpool-env"}, {"version", 1}, {"set", set}, {"unset", surroundings.unset}});
}

}  // namespace tokenpool::cli
