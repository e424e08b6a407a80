// How many slots a pool may have: as many as it is told, or as many as the machine can use.
#pragma once

namespace tokenpool::core {

/// 1 <= min <= max <= kMaxSlots. A pool whose bounds are equal is fixed: nothing measures anything.
struct SlotRange {
  int min = 1;
  int max = 1;
  [[nodiscard]] bool is_elastic() const { return min < max; }
  friend bool operator==(const SlotRange&, const SlotRange&) = default;
};

}  // namespace tokenpool::core
