// Tokens that left the FIFO unseen: each is booked to the set of processes that may have it, until
// one of them returns it or the last of them has ended.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/process_id.h"

namespace tokenpool::core {

/// `count` tokens that left the FIFO unseen; one of `suspects` has them.
struct UnseenTake {
  int count = 0;
  std::vector<ProcessId> suspects;
  friend bool operator==(const UnseenTake&, const UnseenTake&) = default;
};

class Suspects {
 public:
  /// `take` has a token and a suspect at least.
  void add(UnseenTake take);
  /// A token of the take with the fewest suspects, of whom `who` is one, is back. False: there is
  /// none with at most so many.
  bool settle(ProcessId who, std::size_t most = SIZE_MAX);
  /// ... of any take that one of them is suspected of.
  bool settle_any_of(std::span<const ProcessId> openers);
  /// ... of any take at all.
  bool settle_any();
  /// `who` has ended; `heir` takes its place. Answers the tokens that nobody is suspected of now.
  int close(ProcessId who, std::optional<ProcessId> heir);
  /// Answers the tokens that there were.
  int close_all();

  [[nodiscard]] bool includes(ProcessId who) const;
  [[nodiscard]] const std::vector<UnseenTake>& takes() const { return takes_; }

 private:
  using Take = std::vector<UnseenTake>::iterator;
  bool pay(Take take);

  std::vector<UnseenTake> takes_;
};

}  // namespace tokenpool::core
