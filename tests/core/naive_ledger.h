// A ledger as one would write it without a care for speed: every token is a thing that lies
// somewhere. It was written from the rules, not from src/core/ledger.cc, and is what the real one
// is held against.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "core/ledger.h"
#include "core/processes.h"

namespace tokenpool::core {

struct NaiveToken {
  enum class Where : std::uint8_t { free, own, inherited, unseen };
  Where where = Where::free;
  ProcessId holder;              // own, inherited
  std::set<ProcessId> suspects;  // unseen
  int group = 0;                 // unseen: takes by the same suspects are one
};

struct NaiveProcess {
  std::optional<ProcessId> parent;  // as it was at birth
  bool client = false;
  bool returns = false;
  bool lends = false;
  bool overpaid = false;
};

class NaiveLedger {
 public:
  using Where = NaiveToken::Where;

  explicit NaiveLedger(int issued) : tokens(static_cast<std::size_t>(issued)) {}

  int count(Where where, std::optional<ProcessId> holder = std::nullopt) const {
    return static_cast<int>(
        std::count_if(tokens.begin(), tokens.end(), [&](const NaiveToken& token) {
          return token.where == where && (!holder || token.holder == *holder);
        }));
  }
  int lenders() const {
    return static_cast<int>(std::count_if(living.begin(), living.end(),
                                          [](const auto& entry) { return entry.second.lends; }));
  }
  int outstanding() const {
    return static_cast<int>(tokens.size()) - count(Where::free) - lenders();
  }
  /// Everybody it descends from, dead or alive, nearest first.
  Processes ancestors(ProcessId who) const {
    Processes chain;
    for (auto parent = family.at(who); parent; parent = family.at(*parent)) {
      chain.push_back(*parent);
    }
    return chain;
  }
  Processes children(ProcessId who) const {
    Processes list;
    for (const auto& [other, state] : living) {
      if (state.parent == who) list.push_back(other);
    }
    return list;
  }
  std::optional<ProcessId> heir(ProcessId who) const {
    for (const ProcessId ancestor : ancestors(who)) {
      if (living.contains(ancestor)) return ancestor;
    }
    return std::nullopt;
  }

  void fork(ProcessId who, std::optional<ProcessId> parent, bool client = false) {
    living[who].parent = parent;
    living[who].client = living[who].returns = client;
    family[who] = parent;
  }

  void take(ProcessId who) {
    living[who].client = true;
    book(who);
  }

  void book(ProcessId who) {
    const auto token = first(Where::free, std::nullopt);
    if (living[who].lends) {
      living[who].lends = false;
      tokens.erase(token);
    } else {
      token->where = Where::own;
      token->holder = who;
    }
  }

  std::optional<GiveOutcome> settle(ProcessId who) {
    if (free_one(Where::own, who)) return GiveOutcome::settled;
    const auto is_client = [&](ProcessId other) {
      return living.contains(other) && living.at(other).client;
    };
    if (free_suspected(who, 1)) return GiveOutcome::unseen;
    for (const ProcessId child : descendants(who)) {
      const bool is_child = ancestors(child).front() == who;
      if (is_child && !is_client(child) && free_one(Where::own, child)) {
        return GiveOutcome::descendant;
      }
    }
    if (free_suspected(who)) return GiveOutcome::unseen;
    if (free_one(Where::inherited, who)) return GiveOutcome::inherited;
    for (const ProcessId ancestor : ancestors(who)) {
      const bool pays = !living.contains(ancestor) || !returns_what_it_takes(ancestor);
      if (pays && free_held(ancestor)) return GiveOutcome::ancestor;
      if (living.contains(ancestor) && free_suspected(ancestor)) return GiveOutcome::unseen;
    }
    for (const ProcessId child : descendants(who)) {
      if (!is_client(child) && free_held(child)) return GiveOutcome::descendant;
    }
    for (const ProcessId child : descendants(who)) {
      if (free_suspected(child)) return GiveOutcome::unseen;
    }
    return std::nullopt;
  }

  GiveOutcome give(ProcessId who, bool may_lend) {
    living[who].returns = true;
    if (const auto outcome = settle(who)) return *outcome;
    if (may_lend && lend(who)) return GiveOutcome::lent;
    living[who].overpaid = true;
    return GiveOutcome::refused;
  }

  int unseen_take(int count, const Processes& openers, bool certain = true) {
    std::set<ProcessId> suspects;
    for (const ProcessId who : openers) {
      if (!living[who].client) suspects.insert(who);
    }
    if (suspects.empty()) suspects.insert(openers.begin(), openers.end());
    if (suspects.empty()) return count;
    if (suspects.size() == 1 && certain) {
      for (int i = 0; i < count; ++i) book(*suspects.begin());
      return 0;
    }
    int group = next_group++;
    for (const NaiveToken& token : tokens) {
      if (token.where == Where::unseen && token.suspects == suspects) {
        group = std::min(group, token.group);
      }
    }
    for (int i = 0; i < count; ++i) {
      const auto token = first(Where::free, std::nullopt);
      token->where = Where::unseen;
      token->suspects = suspects;
      token->group = group;
    }
    return 0;
  }

  bool attribute(ProcessId who) {
    if (!free_suspected(who)) return false;
    book(who);
    return true;
  }

  int unseen_return(int count, const Processes& openers, bool certain = true,
                    bool may_lend = false) {
    for (int i = 0; i < count; ++i) {
      if (openers.size() == 1 && certain) {
        living[openers.front()].returns = true;
        if (settle(openers.front())) continue;
        const bool knows_all = doubtful == 0;
        if (return_passed_on({}, false)) continue;
        if (!knows_all || !may_lend || !lend(openers.front())) {
          living[openers.front()].overpaid = true;
          return count - i;
        }
        may_lend = false;
        continue;
      }
      if (!return_unseen(openers) && !return_passed_on(openers, true)) return count - i;
    }
    return 0;
  }

  EndOutcome end(ProcessId who, EndCause cause) {
    const NaiveProcess dead = living.at(who);
    const Processes survivors = children(who);
    living.erase(who);
    EndOutcome outcome;
    outcome.inherited = count(Where::inherited, who);
    outcome.held = count(Where::own, who) + outcome.inherited;
    if (cause == EndCause::unknown) {
      const bool client = dead.client || dead.returns || !survivors.empty();
      cause = client ? EndCause::killed : EndCause::succeeded;
    }
    const auto heir_of_dead = heir(who);
    const bool passes = cause == EndCause::succeeded && heir_of_dead && !dead.returns &&
                        !living.at(*heir_of_dead).client;
    if (dead.lends) {
      // The token that stands for the loan stays; only who owes it changes, or nobody does.
      const bool lent_for_another = cause == EndCause::succeeded && dead.returns && !dead.client &&
                                    !dead.overpaid && heir_of_dead &&
                                    !returns_what_it_takes(*heir_of_dead);
      if (lent_for_another && owes_nothing(*heir_of_dead)) {
        living.at(*heir_of_dead).lends = true;
        outcome.passed_to = heir_of_dead;
      } else {
        outcome.withdraw = 1;
        ++debt;
      }
    }
    for (NaiveToken& token : tokens) {
      if (token.where != Where::unseen || token.suspects.erase(who) == 0) continue;
      if (passes) token.suspects.insert(*heir_of_dead);
      if (token.suspects.empty()) {
        token = NaiveToken{};
        ++outcome.unseen;
      }
    }
    outcome.freed = outcome.unseen;
    std::size_t next = 0;
    // Own tokens go first where they are moved; it makes no difference, a count is a count.
    for (NaiveToken& token : tokens) {
      const bool own = token.where == Where::own && token.holder == who;
      if (!own && !(token.where == Where::inherited && token.holder == who)) continue;
      if (cause == EndCause::succeeded) {
        if (own && passes) {
          outcome.passed_to = heir_of_dead;
          token.holder = *heir_of_dead;
          continue;
        }
      } else if (next < survivors.size()) {
        token.where = Where::inherited;
        token.holder = survivors[next++];
        outcome.moved_to.push_back(token.holder);
        continue;
      }
      token = NaiveToken{};
      ++outcome.freed;
    }
    if (!dead.client) doubtful += outcome.freed;
    if (outcome.passed_to && !dead.lends && living.at(*outcome.passed_to).lends) {
      // The heir had lent its own slot and now has one again.
      living.at(*outcome.passed_to).lends = false;
      tokens.erase(first(Where::own, *outcome.passed_to));
    }
    return outcome;
  }

  void end_all(int issued) {
    doubtful = 0;
    living.clear();
    tokens.assign(static_cast<std::size_t>(issued), NaiveToken{});
    debt = 0;
  }
  /// A loan whose lender died is repaid with the next free token.
  void collect_debt() {
    for (auto token = first(Where::free, std::nullopt); debt > 0 && token != tokens.end();
         token = first(Where::free, std::nullopt)) {
      tokens.erase(token);
      --debt;
    }
  }

  std::vector<NaiveToken> tokens;
  std::map<ProcessId, NaiveProcess> living;
  int debt = 0;
  int doubtful = 0;  // tokens of the dead that somebody may still have

 private:
  using Token = std::vector<NaiveToken>::iterator;

  Token first(Where where, std::optional<ProcessId> holder) {
    return std::find_if(tokens.begin(), tokens.end(), [&](const NaiveToken& token) {
      return token.where == where && (!holder || token.holder == *holder);
    });
  }
  bool returns_what_it_takes(ProcessId who) const {
    return living.at(who).client && living.at(who).returns;
  }
  bool owes_nothing(ProcessId who) const {
    return !living.at(who).lends && count(Where::own, who) == 0;
  }
  bool lend(ProcessId who) {
    if (!owes_nothing(who)) return false;
    living.at(who).lends = true;
    tokens.emplace_back();
    return true;
  }
  bool free_one(Where where, ProcessId who) {
    const Token token = first(where, who);
    if (token == tokens.end()) return false;
    *token = NaiveToken{};
    return true;
  }
  bool free_held(ProcessId who) {
    return free_one(Where::own, who) || free_one(Where::inherited, who);
  }
  bool free_suspected(ProcessId who, std::size_t most = SIZE_MAX) {
    Token best = tokens.end();
    const auto rank = [](const NaiveToken& token) {
      return std::pair(token.suspects.size(), token.group);
    };
    for (Token token = tokens.begin(); token != tokens.end(); ++token) {
      if (token->where != Where::unseen || !token->suspects.contains(who)) continue;
      if (best == tokens.end() || rank(*token) < rank(*best)) best = token;
    }
    if (best == tokens.end() || best->suspects.size() > most) return false;
    *best = NaiveToken{};
    return true;
  }
  Processes descendants(ProcessId who) const {
    std::vector<std::pair<std::ptrdiff_t, ProcessId>> found;
    for (const auto& entry : living) {
      const Processes chain = ancestors(entry.first);
      const auto link = std::find(chain.begin(), chain.end(), who);
      if (link != chain.end()) found.emplace_back(link - chain.begin(), entry.first);
    }
    std::sort(found.begin(), found.end());
    Processes list;
    for (const auto& entry : found) list.push_back(entry.second);
    return list;
  }
  bool free_oldest(const Processes* touching) {
    const auto touches = [&](const NaiveToken& token) {
      return std::any_of(touching->begin(), touching->end(),
                         [&](ProcessId who) { return token.suspects.contains(who); });
    };
    Token best = tokens.end();
    for (Token token = tokens.begin(); token != tokens.end(); ++token) {
      if (token->where != Where::unseen || (touching != nullptr && !touches(*token))) continue;
      if (best == tokens.end() || token->group < best->group) best = token;
    }
    if (best == tokens.end()) return false;
    *best = NaiveToken{};
    return true;
  }
  bool free_holder(const Processes& openers, bool want_opener, bool want_client) {
    for (const auto& [who, state] : living) {
      const bool opener = std::find(openers.begin(), openers.end(), who) != openers.end();
      if (opener == want_opener && state.client == want_client && free_held(who)) return true;
    }
    return false;
  }
  bool return_unseen(const Processes& openers) {
    return free_oldest(&openers) || free_holder(openers, true, false);
  }
  bool return_passed_on(const Processes& openers, bool of_clients) {
    if (doubtful > 0) {
      --doubtful;
      return false;
    }
    return free_oldest(nullptr) || (of_clients && free_holder(openers, true, true)) ||
           free_holder(openers, false, false) || (of_clients && free_holder(openers, false, true));
  }

  std::map<ProcessId, std::optional<ProcessId>> family;
  int next_group = 0;
};

}  // namespace tokenpool::core
