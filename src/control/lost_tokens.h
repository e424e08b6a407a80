// How many tokens are lost, where nobody's calls are seen (`--track infer`). Pure: it is told how
// many are out, and who lives.
//
// A job runs on one slot, so a build whose processes have L leaves (processes without children)
// holds at most L slots, one of which is the implicit one; a client that works in threads of its
// own (rustc, lld, lto1) one more for each further thread. A process that has ended and that its
// parent has not yet waited for is a leaf: its parent has not yet returned what it holds for it.
// What a dead client left running are leaves as any other; a daemon, which left its session, is
// nobody's job, but a client that it or one below it is (a container's monitor is one) may hold
// tokens as anywhere.
//
// What is out beyond that for kLostWindow, at kLostLooks looks, is lost. Less is never claimed than
// is true at every moment in between, so a job that is just being started or that has just ended
// costs nobody anything. A client that holds tokens without running jobs for them (the kernel's
// jobserver-exec, a script that fetched one for itself) is mistaken for a dead one: then there are
// more tokens than were issued until it returns them.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/effect.h"
#include "core/process_id.h"

namespace tokenpool::control {

inline constexpr std::chrono::nanoseconds kLostWindow = std::chrono::seconds(1);
inline constexpr int kLostLooks = 4;

struct FamilyMember {
  std::int32_t pid = 0;
  std::int32_t parent = 0;
  int workers = 0;      ///< threads beyond the first that may each hold a token
  bool daemon = false;  ///< neither it nor what it started is anybody's job
  bool client = false;  ///< ... but this one, and what it started, is
  friend bool operator==(const FamilyMember&, const FamilyMember&) = default;
};

/// Tokens that the family below `root` (no member of it) can hold at most. Any order; a parent that
/// is missing counts as the root.
[[nodiscard]] int most_held(const std::vector<FamilyMember>& family);

/// One thread.
class LostTokens {
 public:
  /// `out`: tokens that are neither in the FIFO nor lent, nor lost before. Answers how many of them
  /// are lost; they are not out any more.
  int look(int out, int most_held, core::Instant now);
  /// More are out than can be held: the next look is wanted soon.
  [[nodiscard]] bool is_suspicious() const { return since_.has_value(); }

 private:
  std::optional<core::Instant> since_;
  int least_ = 0;
  int looks_ = 0;
};

}  // namespace tokenpool::control
