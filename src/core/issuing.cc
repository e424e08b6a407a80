// The part of the pool that changes how many tokens there are.
#include <algorithm>
#include <utility>

#include "core/check.h"
#include "core/limits.h"
#include "core/pool.h"

namespace tokenpool::core {

void Pool::set_issued(int issued, Instant now, Effects* effects) {
  TOKENPOOL_CHECK(issued >= 0 && issued < kMaxSlots);
  begin(now);
  for (; issued_ > issued; --issued_) withdraw(effects);
  while (issued_ < issued) {
    ++issued_;
    place(1, now, effects);
  }
  finish(now, effects);
}

void Pool::mint(int count, bool tracked, Instant now, Effects* effects) {
  TOKENPOOL_CHECK(count >= 0 && minted_ + count <= kMaxSlots);
  begin(now);
  minted_ += count;
  stuck_.note(ledger_, lent_, tracked ? 0 : minted_);
  counters_.minted += static_cast<std::uint64_t>(count);
  place(count, now, effects);
  finish(now, effects);
}

void Pool::unmint(int count, Instant now, Effects* effects) {
  TOKENPOOL_CHECK(count >= 0 && count <= minted_);
  begin(now);
  stuck_.found(count);
  for (; count > 0; --count) {
    withdraw(effects);
    --minted_;
  }
  finish(now, effects);
}

// What was given up has come back: as much of what stands for it goes.
void Pool::take_out_minted(Effects* effects) {
  int back = stuck_.freed(ledger_, lent_);
  for (back = std::max(back, minted_ - stuck_.total()); back > 0 && minted_ > 0; --back) {
    withdraw(effects);
    --minted_;
  }
}

}  // namespace tokenpool::core
