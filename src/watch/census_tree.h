// A walk's processes as the tree that they are, for whoever asks what is below one of them.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

#include "core/process_id.h"
#include "proc/census.h"

namespace tokenpool::watch {

/// A process that cannot go on.
struct HaltedProcess {
  core::ProcessId who;
  char state = 'T';                       ///< 'T': stopped by a signal; 'D': waits for a disk
  std::optional<core::ProcessId> holder;  ///< at or nearest above it
  friend bool operator==(const HaltedProcess&, const HaltedProcess&) = default;
};

/// Pure. The rows outlive it.
class CensusTree {
 public:
  explicit CensusTree(const std::vector<proc::CensusRow>& rows);

  [[nodiscard]] const proc::CensusRow* find(core::ProcessId who) const;
  /// That process and all below it; empty: it is not there.
  [[nodiscard]] std::vector<proc::CensusRow> family_of(core::ProcessId who) const;
  /// The processes that are stopped, without those that are below another such one of the same
  /// holder: the job of a shell is stopped with its shell. Where there are none: those that wait
  /// for a disk. By pid. A debugger's are not stopped.
  [[nodiscard]] std::vector<HaltedProcess> halted(
      const std::function<bool(core::ProcessId)>& is_holder) const;

 private:
  [[nodiscard]] std::vector<HaltedProcess> halted(
      char state, const std::function<bool(core::ProcessId)>& is_holder) const;

  const std::vector<proc::CensusRow>& rows_;
  std::unordered_map<pid_t, std::size_t> by_pid_;
  std::unordered_multimap<pid_t, std::size_t> children_;
};

}  // namespace tokenpool::watch
