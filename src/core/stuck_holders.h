// What was held at one moment and is held still: slots whose holders are taken for stuck.
#pragma once

#include <vector>

#include "core/ledger.h"

namespace tokenpool::core {

/// Pure.
class StuckHolders {
 public:
  /// Whoever holds something now is stuck with it; `lent`: with leases; `unknown`: what nobody
  /// books, until it is found().
  void note(const Ledger& ledger, int lent, int unknown);
  void found(int count) { unknown_ = count < unknown_ ? unknown_ - count : 0; }
  /// How much of it is no longer held, since the last call of either.
  int freed(const Ledger& ledger, int lent);
  /// What is held still.
  [[nodiscard]] int total() const;

 private:
  std::vector<Account> holders_;  ///< `own` is what each is stuck with, the rest is 0
  int lent_ = 0;
  int unseen_ = 0;  ///< of the unseen takes
  int unknown_ = 0;
};

}  // namespace tokenpool::core
