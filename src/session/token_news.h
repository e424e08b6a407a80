// What became of tokens since somebody looked last, for those who watch.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/pool.h"

namespace tokenpool::session {

/// "taken", "returned", "recovered" (the holder has ended), or "passed" (the same, and somebody
/// else has them: its jobs, or the shell that it had fetched them for).
struct TokenEvent {
  std::string_view kind;
  int tokens = 0;
  core::ProcessId who;  ///< pid 0: they were taken unseen, by nobody knows whom
  std::string command;
  friend bool operator==(const TokenEvent&, const TokenEvent&) = default;
};

/// Compares the books of a pool with those of the time before. One thread.
class TokenNews {
 public:
  /// `command_of` is asked once for each process that takes tokens. The first look, and the first
  /// one after forget(), only remembers.
  void look(const core::Pool& pool, const std::function<std::string(core::ProcessId)>& command_of,
            const std::function<void(const TokenEvent&)>& tell);
  void forget() { begun_ = false; }

 private:
  struct Holder {
    int held = 0;
    std::string command;
  };
  bool begun_ = false;
  std::uint64_t recovered_ = 0;
  std::unordered_map<core::ProcessId, Holder, core::ProcessIdHash> holders_;
};

}  // namespace tokenpool::session
