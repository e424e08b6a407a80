#include "watch/stuck.h"

#include <algorithm>
#include <utility>

#include "proc/process.h"
#include "wire/plain_text.h"

namespace tokenpool::watch {
namespace {

using core::ProcessId;

board::StuckRow row_of(ProcessId holder, int held) {
  board::StuckRow row;
  row.pid = holder.pid;
  row.held = held;
  if (holder.pid != 0) board::copy_text(proc::command_of(holder.pid), row.command);
  return row;
}

void add_halted(std::vector<board::StuckRow>* rows, board::StuckRow row,
                const std::vector<const HaltedProcess*>& halted) {
  if (halted.empty() && row.held > 0) rows->push_back(row);
  for (const HaltedProcess* one : halted) {
    row.too = row.held == 0;
    row.halted = one->who.pid;
    row.state = one->state;
    board::copy_text(proc::command_of(one->who.pid), row.halted_command);
    rows->push_back(row);
    row.held = 0;
  }
}

std::string process(std::int32_t pid, const std::array<char, board::kBoardCommand>& command) {
  return "process " + std::to_string(pid) + " (" + wire::short_command(command.data()) + ")";
}

// What keeps it, up to the verb that follows.
std::string subject_of(const board::StuckRow& row) {
  if (row.halted == 0) return row.pid == 0 ? "" : process(row.pid, row.command);
  const std::string is = row.state == 'T' ? " is stopped" : " waits for a disk";
  const std::string halted = process(row.halted, row.halted_command) + is;
  if (row.pid == 0 || row.halted == row.pid) return halted + (row.too ? "" : " and");
  return halted + ", below " + process(row.pid, row.command) + (row.too ? "" : ", which");
}

std::string advice_on(const board::StuckRow& row) {
  if (row.halted == 0) return "; if it is not just waiting, look what it waits for, or end it";
  if (row.state == 'D') return "; look whether its file system answers, or end it";
  return "; let it go on (kill -CONT " + std::to_string(row.halted) + "), or end it";
}

}  // namespace

std::vector<board::StuckRow> stuck_rows(const CensusTree& tree,
                                        const std::map<ProcessId, int>& held, int unknown) {
  const std::vector<HaltedProcess> halted =
      tree.halted([&held](ProcessId who) { return held.contains(who); });
  const auto below = [&halted](const std::optional<ProcessId>& holder) {
    std::vector<const HaltedProcess*> found;
    for (const HaltedProcess& one : halted) {
      if (one.holder == holder) found.push_back(&one);
    }
    return found;
  };
  std::vector<board::StuckRow> rows;
  for (const auto& [who, slots] : held) add_halted(&rows, row_of(who, slots), below(who));
  add_halted(&rows, row_of({}, unknown), below(std::nullopt));
  return rows;
}

std::string stuck_line(const board::StuckRow& row, StuckPlace place) {
  std::string line = subject_of(row);
  if (row.too) return line + ", too" + advice_on(row);
  if (row.pid == 0 && row.held == 0) {
    return line + " nothing of the build moves" + advice_on(row);
  }
  if (row.type[0] != '\0') {
    const std::string type = row.type.data();
    if (row.halted == 0) line += " has not moved for long and";
    line += " fills the limit of type " + type + " (" + std::to_string(row.limit) + ") while " +
            (row.waiting == 1 ? "another waits" : std::to_string(row.waiting) + " others wait");
    return line + advice_on(row) + ", or raise the limit (tokenpool set limit." + type + "=" +
           std::to_string(row.limit + 1) + ")";
  }
  const std::string slots = std::to_string(row.held) + (row.held == 1 ? " slot" : " slots");
  if (row.pid == 0) {
    line += (row.halted == 0 ? "" : " ") + slots + " did not come back";
  } else {
    line += " keeps " + slots;
  }
  line += place == StuckPlace::run
              ? " while nothing of the build moves, so one slot more was made for the others"
              : " while it does nothing and others wait, so there is one slot more for them";
  return line + advice_on(row);
}

}  // namespace tokenpool::watch
