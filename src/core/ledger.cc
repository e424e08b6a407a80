#include "core/ledger.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "core/check.h"
#include "core/limits.h"

namespace tokenpool::core {
namespace {

bool contains(std::span<const ProcessId> list, ProcessId who) {
  return std::find(list.begin(), list.end(), who) != list.end();
}

/// One token less. What a process took itself goes first: what it inherited is the slot it runs on.
void pay(Account* account) {
  TOKENPOOL_CHECK(account->held() > 0);
  if (account->own > 0) {
    --account->own;
  } else {
    --account->inherited;
  }
}

}  // namespace

Account& Ledger::account(ProcessId who) {
  const auto [entry, is_new] = accounts_.try_emplace(who);
  if (is_new) entry->second.who = who;
  return entry->second;
}

void Ledger::introduce(ProcessId who, std::span<const ProcessId> ancestors, bool client) {
  if (accounts_.contains(who)) return;
  if (accounts_.size() >= kMaxAccounts) {
    // Forgetting somebody without a balance costs at most a less exact attribution later.
    const auto idle = std::find_if(accounts_.begin(), accounts_.end(),
                                   [this](const auto& entry) { return !concerns(entry.first); });
    if (idle != accounts_.end()) accounts_.erase(idle);
  }
  const std::size_t kept = std::min(ancestors.size(), kMaxAncestors);
  Account& opened = account(who);
  opened.client = client;
  opened.returns = client;
  opened.ancestors.assign(ancestors.begin(), ancestors.begin() + static_cast<std::ptrdiff_t>(kept));
}

bool Ledger::knows(ProcessId who) const { return accounts_.contains(who); }

const Account* Ledger::find(ProcessId who) const {
  const auto entry = accounts_.find(who);
  return entry == accounts_.end() ? nullptr : &entry->second;
}

void Ledger::take(ProcessId who) {
  Account& taker = account(who);
  taker.client = true;
  ++taker.own;
  ++outstanding_;
}

void Ledger::untake(ProcessId who) {
  Account& taker = account(who);
  TOKENPOOL_CHECK(taker.own >= 0);
  --taker.own;
  --outstanding_;
}

GiveOutcome Ledger::give(ProcessId who, bool may_lend) {
  Account& giver = account(who);
  giver.returns = true;
  std::optional<GiveOutcome> outcome = settle(&giver);
  if (!outcome && may_lend && lend(&giver)) outcome = GiveOutcome::lent;
  if (!outcome) {
    giver.overpaid = true;
    return GiveOutcome::refused;
  }
  --outstanding_;
  return *outcome;
}

bool Ledger::lend(Account* lender) {
  if (lender->own != 0) return false;
  lender->own = -1;
  return true;
}

std::optional<GiveOutcome> Ledger::settle(Account* giver) {
  std::optional<GiveOutcome> outcome = settle_own(giver);
  if (!outcome) outcome = settle_ancestor(*giver);
  if (!outcome) outcome = settle_descendant(giver->who);
  return outcome;
}

std::optional<GiveOutcome> Ledger::settle_own(Account* giver) {
  if (giver->own > 0) {
    pay(giver);
    return GiveOutcome::settled;
  }
  if (unseen_.settle(giver->who, 1)) return GiveOutcome::unseen;
  if (settle_child(giver->who)) return GiveOutcome::descendant;
  if (unseen_.settle(giver->who)) return GiveOutcome::unseen;
  if (giver->inherited > 0) {
    pay(giver);
    return GiveOutcome::inherited;
  }
  return std::nullopt;
}

std::optional<GiveOutcome> Ledger::settle_ancestor(const Account& giver) {
  for (const ProcessId ancestor : giver.ancestors) {
    const auto entry = accounts_.find(ancestor);
    // One that returns its tokens itself has this one run on one of them.
    if (entry != accounts_.end() && entry->second.held() > 0 && !entry->second.settles_itself()) {
      pay(&entry->second);
      return GiveOutcome::ancestor;
    }
    if (unseen_.settle(ancestor)) return GiveOutcome::unseen;
  }
  return std::nullopt;
}

// A helper whose end is not known yet.
bool Ledger::settle_child(ProcessId giver) {
  return pay_first([giver](const Account& one) {
    return !one.client && one.own > 0 && !one.ancestors.empty() && one.ancestors.front() == giver;
  });
}

std::optional<GiveOutcome> Ledger::settle_descendant(ProcessId giver) {
  // By distance, then by identity, so that the choice does not depend on the order of a hash table.
  using Key = std::tuple<std::ptrdiff_t, ProcessId>;
  std::optional<Key> holder;
  std::optional<Key> suspect;
  for (const auto& [who, candidate] : accounts_) {
    const auto& chain = candidate.ancestors;
    const auto link = std::find(chain.begin(), chain.end(), giver);
    if (link == chain.end()) continue;
    const Key key{link - chain.begin(), who};
    if (candidate.held() > 0 && !candidate.client && (!holder || key < *holder)) holder = key;
    if (unseen_.includes(who) && (!suspect || key < *suspect)) suspect = key;
  }
  if (holder) {
    pay(&account(std::get<ProcessId>(*holder)));
    return GiveOutcome::descendant;
  }
  if (suspect && unseen_.settle(std::get<ProcessId>(*suspect))) return GiveOutcome::unseen;
  return std::nullopt;
}

bool Ledger::attribute(ProcessId who) {
  if (!unseen_.settle(who)) return false;
  ++account(who).own;
  return true;
}

int Ledger::unseen_take(int count, std::span<const ProcessId> openers, bool certain) {
  TOKENPOOL_CHECK(count >= 0);
  if (count == 0) return 0;
  std::vector<ProcessId> suspects;
  std::vector<ProcessId> clients;
  for (const ProcessId opener : openers) {
    const Account* known = find(opener);
    if (known != nullptr) (known->client ? clients : suspects).push_back(opener);
  }
  if (suspects.empty()) suspects = std::move(clients);
  if (suspects.empty()) return count;
  if (suspects.size() == 1 && certain) {
    account(suspects.front()).own += count;
    outstanding_ += count;
    return 0;
  }
  restore_unseen({count, std::move(suspects)});
  return 0;
}

void Ledger::restore_unseen(UnseenTake take) {
  std::erase_if(take.suspects, [this](ProcessId who) { return !knows(who); });
  if (take.count <= 0 || take.suspects.empty()) return;
  outstanding_ += take.count;
  unseen_.add(std::move(take));
}

int Ledger::unseen_return(int count, std::span<const ProcessId> openers, bool certain,
                          bool may_lend) {
  TOKENPOOL_CHECK(count >= 0);
  const bool is_certain = certain && openers.size() == 1 && knows(openers.front());
  for (; count > 0; --count) {
    if (is_certain) {
      Account& giver = account(openers.front());
      giver.returns = true;
      const bool is_doubtful = doubtful_ > 0;
      if (!settle(&giver) && !settle_passed_on({}, false)) {
        if (is_doubtful || !std::exchange(may_lend, false) || !lend(&giver)) {
          giver.overpaid = true;
          return count;
        }
      }
    } else if (!settle_unseen_return(openers) && !settle_passed_on(openers, true)) {
      return count;
    }
    --outstanding_;
  }
  return 0;
}

bool Ledger::settle_unseen_return(std::span<const ProcessId> openers) {
  if (unseen_.settle_any_of(openers)) return true;
  return pay_first(
      [openers](const Account& one) { return !one.client && contains(openers, one.who); });
}

bool Ledger::settle_passed_on(std::span<const ProcessId> openers, bool of_clients) {
  if (doubtful_ > 0) {
    --doubtful_;
    return false;
  }
  if (unseen_.settle_any()) return true;
  // A client's own returns are seen, so somebody else comes first.
  const auto has_it_open = [openers](const Account& one) {
    return one.client && contains(openers, one.who);
  };
  return (of_clients && pay_first(has_it_open)) ||
         pay_first([](const Account& one) { return !one.client; }) ||
         (of_clients && pay_first([](const Account&) { return true; }));
}

bool Ledger::pay_first(const std::function<bool(const Account&)>& is_meant) {
  Account* first = nullptr;
  for (auto& [who, one] : accounts_) {
    if (one.held() == 0 || !is_meant(one)) continue;
    if (first == nullptr || who < first->who) first = &one;
  }
  if (first == nullptr) return false;
  pay(first);
  return true;
}

EndOutcome Ledger::end(ProcessId who, EndCause cause, std::span<const ProcessId> survivors,
                       std::optional<ProcessId> heir) {
  EndOutcome outcome;
  const auto entry = accounts_.find(who);
  if (entry == accounts_.end()) return outcome;
  const Account dead = std::move(entry->second);
  accounts_.erase(entry);

  const bool was_client = dead.client || dead.returns || !survivors.empty();
  const bool succeeded =
      cause == EndCause::succeeded || (cause == EndCause::unknown && !was_client);
  const std::optional<ProcessId> sender = succeeded ? heir : std::nullopt;
  // Only what a helper fetched is meant for somebody. One that ever returned a token was a client
  // that forgot the rest.
  const Account* to = sender && !dead.returns ? find(*sender) : nullptr;
  if (to == nullptr || to->client) heir.reset();

  outcome.held = dead.held();
  outcome.inherited = dead.inherited;
  if (dead.own < 0) {
    // One that a helper made for it ends with the lender.
    const bool was_helper = dead.returns && !dead.client && !dead.overpaid;
    Account* lender = sender && was_helper ? &account(*sender) : nullptr;
    if (lender != nullptr && !lender->settles_itself() && lend(lender)) {
      outcome.passed_to = sender;
    } else {
      outcome.withdraw = 1;
    }
  }
  outcome.unseen = unseen_.close(who, heir);
  outcome.freed = outcome.held + outcome.unseen;
  if (succeeded) {
    // What it inherited was the slot that it ran on.
    if (heir && dead.own > 0) {
      account(*heir).own += dead.own;
      outcome.passed_to = heir;
      outcome.freed -= dead.own;
    }
  } else {
    for (const ProcessId survivor : survivors) {
      if (static_cast<int>(outcome.moved_to.size()) == outcome.held) break;
      ++account(survivor).inherited;
      outcome.moved_to.push_back(survivor);
      --outcome.freed;
    }
  }
  outstanding_ += outcome.withdraw - outcome.freed;
  if (!dead.client) doubtful_ += outcome.freed;
  return outcome;
}

int Ledger::end_all() {
  int freed = 0;
  for (const auto& entry : accounts_) freed += entry.second.held();
  freed += unseen_.close_all();
  accounts_.clear();
  outstanding_ = 0;
  doubtful_ = 0;
  return freed;
}

std::vector<ProcessId> Ledger::holders_below(ProcessId who) const {
  std::vector<ProcessId> holders;
  for (const auto& [id, account] : accounts_) {
    const auto& above = account.ancestors;
    if (std::find(above.begin(), above.end(), who) != above.end() && concerns(id)) {
      holders.push_back(id);
    }
  }
  return holders;
}

bool Ledger::concerns(ProcessId who) const {
  const Account* known = find(who);
  return (known != nullptr && (known->own != 0 || known->inherited != 0)) || unseen_.includes(who);
}

void Ledger::restore(ProcessId who, int own, int inherited, bool client, bool returns) {
  Account& restored = account(who);
  outstanding_ += own + inherited - restored.own - restored.inherited;
  restored.own = own;
  restored.inherited = inherited;
  restored.client = client;
  restored.returns = returns;
}

}  // namespace tokenpool::core
