// Jobs that were seen in one status and not in the next: a watch shows them for a moment longer, or
// nobody could read what a short job was.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "wire/protocol_results.h"

namespace tokenpool::cli {

struct EndedJob {
  std::int32_t pid = 0;
  std::string name;         ///< of its target, else its command line, else of its client
  std::int64_t ran_ms = 0;  ///< as it was seen last
  friend bool operator==(const EndedJob&, const EndedJob&) = default;
};

class RecentEnds {
 public:
  using Instant = std::chrono::steady_clock::time_point;
  static constexpr auto kShown = std::chrono::seconds(3);
  static constexpr std::size_t kMost = 8;

  /// What there is at `now`, which never goes back. Rows beyond those that a status has do not tell
  /// that a job has ended.
  void look(const wire::StatusResult& status, Instant now);
  /// Those that ended less than kShown ago, the last one first, kMost at most.
  [[nodiscard]] std::vector<EndedJob> jobs() const;

 private:
  using Key = std::pair<std::uint64_t, std::int32_t>;  ///< of a lease, or of a process
  std::map<Key, EndedJob> running_;
  std::deque<std::pair<Instant, EndedJob>> ended_;  ///< the last one first
};

}  // namespace tokenpool::cli
