#include "cli/doctor_text.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "cli/help.h"
#include "cli/table.h"
#include "cli/terminal.h"

namespace tokenpool::cli {
namespace {

std::string padded_bytes(std::string_view text, std::size_t width) {
  std::string cell(text);
  if (cell.size() < width) cell.append(width - cell.size(), ' ');
  return cell;
}

std::string row(std::string_view name, const std::string& value) {
  return "  " + padded_bytes(name, 30) + clean_line(value) + "\n";
}

std::string tried(std::string_view name, const proc::Trial& trial) {
  return row(name, trial.works() ? "yes" : "no: " + std::string(std::strerror(trial.error)));
}

std::string cgroup(const proc::Probe& probe) {
  switch (probe.cgroup) {
    case proc::CgroupLayout::none:
      return "none";
    case proc::CgroupLayout::v1:
      return probe.cgroup_folder.empty() ? "v1" : "v1, " + probe.cgroup_folder;
    case proc::CgroupLayout::hybrid:
      return "v1 and v2, " + probe.cgroup_folder;
    case proc::CgroupLayout::v2:
      return "v2, " + probe.cgroup_folder;
  }
  return {};
}

std::string user(const proc::Probe& probe) {
  std::string text = "uid " + std::to_string(probe.uid);
  text += probe.sys_admin ? ", with CAP_SYS_ADMIN" : ", without CAP_SYS_ADMIN";
  if (probe.user_namespace) text += ", in a user namespace";
  if (!probe.container.empty()) text += ", in a container (" + probe.container + ")";
  return text;
}

std::string machine_rows(const proc::Probe& probe) {
  std::string text = row("kernel", probe.kernel) + row("user", user(probe));
  text += tried("seccomp listener", probe.listener);
  text += tried("... wakes up on the same CPU", probe.sync_wake_up);
  text += tried("writing a client's memory", probe.memory_write);
  text +=
      row("yama ptrace_scope", probe.ptrace_scope ? std::to_string(*probe.ptrace_scope) : "none");
  text += tried("pidfd_open", probe.pidfd);
  text += tried("PIDFD_GET_INFO with exit", probe.pidfd_exit);
  text += row("cgroups", cgroup(probe));
  text += tried("... a group of our own", probe.sub_cgroup);
  text += row("... cgroup.kill", probe.cgroup_kill ? "yes" : "no");
  text += tried("pressure (PSI)", probe.pressure);
  text += tried("fanotify with pids", probe.fanotify_pids);
  text += tried("inotify", probe.inotify);
  return text;
}

std::string tools(const std::vector<ToolFacts>& tools) {
  if (tools.empty()) return "  none on PATH\n";
  std::size_t version = 0;
  std::size_t path = 0;
  for (const ToolFacts& tool : tools) {
    version = std::max(version, tool.tool.version_text.size());
    path = std::max(path, tool.path.size());
  }
  std::string text;
  for (const ToolFacts& one : tools) {
    const std::string role = one.tool.dialect
                                 ? "client, " + std::string(dialect::to_string(*one.tool.dialect))
                                 : "no client";
    text += "  " + padded_bytes(one.name, 12) +
            padded_bytes(clean_line(one.tool.version_text), version + 2) +
            padded_bytes(clean_line(one.path), path + 2) + role + "\n";
    if (!one.tool.leaves.empty()) text += "              leaves by: " + one.tool.leaves + "\n";
  }
  return text;
}

std::string client_of(const ClientFacts& client) {
  switch (client.mode) {
    case client::Mode::protocol:
      return "the arbiter that TOKENPOOL_ADDR names";
    case client::Mode::jobserver:
      return "the jobserver that MAKEFLAGS names";
    case client::Mode::single:
      return "one slot";
  }
  return {};
}

std::string findings(const Diagnosis& diagnosis, bool colour) {
  std::string text;
  for (const Finding& finding : diagnosis.findings) {
    text += finding.attention ? styled("  ! ", Style::attention, colour) : "  - ";
    text += clean_line(finding.subject + ": " + finding.text) + "\n";
    if (!finding.remedy.empty()) text += "      " + clean_line(finding.remedy) + "\n";
  }
  return text;
}

std::string verdict(const Diagnosis& diagnosis, bool colour) {
  const auto count = std::count_if(diagnosis.findings.begin(), diagnosis.findings.end(),
                                   [](const Finding& finding) { return finding.attention; });
  if (count == 0) return styled("All is well.", Style::good, colour) + "\n";
  const std::string text =
      count == 1 ? "One thing needs attention." : std::to_string(count) + " things need attention.";
  return styled(text, Style::attention, colour) + "\n";
}

}  // namespace

std::string to_text(const Facts& facts, const Diagnosis& diagnosis, bool colour, bool details) {
  const auto heading = [colour](std::string_view text) {
    return styled(text, Style::heading, colour);
  };
  std::string text = "tokenpool " + std::string(version()) + "\n\n" + verdict(diagnosis, colour);
  text += findings(diagnosis, colour) + "\n";
  text += heading("Tracking: ") + (diagnosis.exact ? "exact" : "infer") + "\n  " +
          clean_line(diagnosis.tracking_reason) + "\n";
  text += heading("Slots: ") + std::to_string(facts.capacity.usable) + "\n  " +
          clean_line(diagnosis.slots_reason) + "\n";
  text += heading("Pool around this process: ") +
          (facts.surroundings ? clean_line(facts.surroundings->fifo) : std::string("none")) + "\n";
  if (!details) return text + "\ntokenpool doctor -v tells of the machine and of each tool.\n";
  text += heading("Client here: ") + client_of(facts.client) +
          "\n  protocol: " + to_string(facts.client.reason) +
          ", jobserver: " + to_string(facts.client.jobserver) + "\n";
  text += heading("Shims: ") +
          (facts.shims_folder.empty() ? "none" : clean_line(facts.shims_folder)) + "\n\n";
  text += heading("Machine") + "\n" + machine_rows(facts.probe) + "\n";
  return text + heading("Tools") + "\n" + tools(facts.tools);
}

}  // namespace tokenpool::cli
