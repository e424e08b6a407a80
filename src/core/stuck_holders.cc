#include "core/stuck_holders.h"

#include <algorithm>

namespace tokenpool::core {
namespace {

int unseen_of(const Ledger& ledger) {
  int count = 0;
  for (const UnseenTake& take : ledger.unseen()) count += take.count;
  return count;
}

int lower(int* stuck, int held) {
  const int freed = std::max(0, *stuck - held);
  *stuck -= freed;
  return freed;
}

}  // namespace

void StuckHolders::note(const Ledger& ledger, int lent, int unknown) {
  holders_.clear();
  for (const auto& [who, account] : ledger.accounts()) {
    if (account.held() == 0) continue;
    Account holder;
    holder.who = who;
    holder.own = account.held();
    holders_.push_back(holder);
  }
  lent_ = lent;
  unseen_ = unseen_of(ledger);
  unknown_ = unknown;
}

int StuckHolders::freed(const Ledger& ledger, int lent) {
  int count = lower(&lent_, lent) + lower(&unseen_, unseen_of(ledger));
  for (Account& holder : holders_) {
    const Account* account = ledger.find(holder.who);
    count += lower(&holder.own, account == nullptr ? 0 : account->held());
  }
  return count;
}

int StuckHolders::total() const {
  int count = lent_ + unseen_ + unknown_;
  for (const Account& holder : holders_) count += holder.own;
  return count;
}

}  // namespace tokenpool::core
