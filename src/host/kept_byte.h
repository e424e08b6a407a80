// One returned token may stay out of the FIFO for the next who is granted one, as long as another
// one lies there: so whoever polls misses nothing, and a token that one client takes and returns
// again and again is neither written nor read, nor does the watch report it.
#pragma once

#include <chrono>
#include <optional>
#include <utility>

#include "core/effect.h"

namespace tokenpool::host {

/// Books only; the caller moves the bytes. `free`: tokens that are to be in the FIFO as far as the
/// pool goes, this one included.
class KeptByte {
 public:
  /// How long it is kept from somebody unseen who may want it as the second one.
  static constexpr core::Instant kKeep = std::chrono::milliseconds(1);

  /// A token has come back. Whether it is kept; else it has to be put into the FIFO.
  [[nodiscard]] bool keep(int free, core::Instant now);
  /// 0 or 1.
  [[nodiscard]] int count() const { return kept_; }
  /// Out of `wanted` >= 0, how many it serves. It is not kept any more.
  [[nodiscard]] int take(int wanted);
  /// How many have to be put into the FIFO now, since there is none to see any more: somebody
  /// unseen has taken it. They are not kept any more, as with all().
  [[nodiscard]] int unseen_without(int free) { return free <= kept_ ? all() : 0; }
  [[nodiscard]] int all() { return std::exchange(kept_, 0); }
  /// The same because the time is over. To be called at due(), or later.
  [[nodiscard]] int late(core::Instant now);
  [[nodiscard]] std::optional<core::Instant> due() const { return due_; }

 private:
  int kept_ = 0;
  core::Instant since_{};
  std::optional<core::Instant> due_;
};

}  // namespace tokenpool::host
