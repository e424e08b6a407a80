#include "arbiter/accused_rows.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "proc/process.h"

namespace tokenpool::arbiter {

using control::Accusation;
using core::Instant;
using core::ProcessId;

std::vector<ProcessId> AccusedRows::follow(const std::vector<Accusation>& accused, Instant now) {
  std::erase_if(named_, [&](Named& named) {
    const auto found = std::ranges::find(accused, named.accusation.who, &Accusation::who);
    if (found == accused.end()) {
      log_->release(named.row, now);
      return true;
    }
    named.accusation = *found;
    log_->accuse_more(named.row, found->cores);
    return false;
  });
  std::vector<ProcessId> anew;
  for (const Accusation& accusation : accused) {
    const bool is_known = std::ranges::any_of(
        named_, [&](const Named& named) { return named.accusation.who == accusation.who; });
    if (is_known) continue;
    std::string command = proc::command_of(accusation.who.pid);
    const std::size_t row = log_->accuse(accusation, command);
    named_.push_back({accusation, std::move(command), row});
    anew.push_back(accusation.who);
  }
  return anew;
}

std::vector<ProcessId> AccusedRows::processes() const {
  std::vector<ProcessId> processes;
  for (const Named& named : named_) processes.push_back(named.accusation.who);
  return processes;
}

std::vector<wire::UncooperativeRow> AccusedRows::status(Instant now) const {
  std::vector<wire::UncooperativeRow> rows;
  for (const Named& named : named_) {
    const auto since =
        std::chrono::duration_cast<std::chrono::milliseconds>(now - named.accusation.since);
    rows.push_back({named.accusation.who.pid, named.command,
                    std::lround(1000 * named.accusation.cores), since.count()});
  }
  return rows;
}

}  // namespace tokenpool::arbiter
