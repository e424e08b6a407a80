// Random histories told to a pool; the naive ledger follows by what the pool's effects did, and
// both agree after every step. PoolDesk adds what holds whatever the policy: nobody is answered
// twice, no byte is granted that is not there, nothing lies about while somebody waits.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>
#include <rapidcheck/state.h>

#include "core/naive_ledger.h"
#include "core/pool_desk.h"
#include "core/processes.h"

namespace tokenpool::core {
namespace {

constexpr int kTokens = 4;

enum class Op : std::uint8_t {
  fork,
  read,
  poll,
  cancel,
  give,
  unseen_take,
  unseen_return,
  end,
  pass_time,
  restart,
  end_all,
};
constexpr const char* kOpNames[] = {"fork",      "read",        "poll",          "cancel",
                                    "give",      "unseen_take", "unseen_return", "end",
                                    "pass_time", "restart",     "end_all"};

/// The real thing with its shadow.
struct Pair {
  PoolDesk desk{kTokens};
  NaiveLedger naive{kTokens};
  int next_pid = 1;
};

void compare(const Pair& pair) {
  const Pool& pool = pair.desk.pool;
  const NaiveLedger& naive = pair.naive;
  RC_ASSERT(pool.free() + pool.reserved() == naive.count(NaiveToken::Where::free));
  RC_ASSERT(pool.owed() == naive.debt);
  RC_ASSERT(pool.ledger().outstanding() == naive.outstanding());
  RC_ASSERT(pool.ledger().accounts().size() == naive.living.size());
  for (const auto& [who, state] : naive.living) {
    const Account* account = pool.ledger().find(who);
    RC_ASSERT(account != nullptr);
    RC_ASSERT(account->own == naive.count(NaiveToken::Where::own, who) - (state.lends ? 1 : 0));
    RC_ASSERT(account->inherited == naive.count(NaiveToken::Where::inherited, who));
  }
  const PoolCounters& counters = pool.counters();
  RC_ASSERT(counters.peak_outstanding >= pool.ledger().outstanding());
}

struct Empty {};

struct Step : rc::state::Command<Empty, Pair> {
  Op op = *rc::gen::weightedElement<Op>({{5, Op::fork},
                                         {8, Op::read},
                                         {8, Op::poll},
                                         {2, Op::cancel},
                                         {8, Op::give},
                                         {2, Op::unseen_take},
                                         {2, Op::unseen_return},
                                         {5, Op::end},
                                         {4, Op::pass_time},
                                         {1, Op::restart},
                                         {1, Op::end_all}});
  unsigned a = *rc::gen::inRange(0U, 64U);
  unsigned b = *rc::gen::inRange(0U, 64U);

  void run(const Empty&, Pair& pair) const override {
    perform(&pair);
    // A byte that an unseen process was faster to take is noticed before the next event.
    if (pair.desk.pool.drift(pair.desk.fifo) != 0) notice(&pair, some(pair.naive));
    follow(&pair);
    compare(pair);
  }
  void show(std::ostream& out) const override {
    out << kOpNames[static_cast<int>(op)] << "(" << a << ", " << b << ")";
  }

 private:
  ProcessId pick(const NaiveLedger& naive) const {
    auto entry = naive.living.begin();
    std::advance(entry, a % naive.living.size());
    return entry->first;
  }
  Processes some(const NaiveLedger& naive) const {
    Processes list;
    for (const auto& entry : naive.living) {
      if ((b >> static_cast<unsigned>(entry.first.pid) % 6 & 1U) != 0) list.push_back(entry.first);
    }
    return list;
  }
  /// For one more implicit slot.
  static bool has_room(const Pair& pair) {
    const int free = pair.naive.count(NaiveToken::Where::free);
    return pair.naive.debt == 0 && free <= pair.desk.pool.issued();
  }
  /// The grants of the last event, told to the shadow.
  static void follow(Pair* pair) {
    pair->naive.collect_debt();
    for (const auto& [who, arrived] : pair->desk.grants) {
      pair->naive.living.at(who).client = true;
      if (arrived) pair->naive.take(who);
    }
    pair->desk.grants.clear();
  }
  static void notice(Pair* pair, const Processes& openers) {
    const int drift = pair->desk.pool.drift(pair->desk.fifo);
    // Grants that failed made clients of their callers, and only then was the level looked at.
    follow(pair);
    if (drift < 0) {
      (void)pair->naive.unseen_take(-drift, openers);
    } else {
      (void)pair->naive.unseen_return(drift, openers, true, has_room(*pair));
    }
    pair->desk.notice(openers);
  }
  void fork(Pair* pair) const {
    const ProcessId child = process(pair->next_pid++);
    std::optional<ProcessId> parent;
    if (!pair->naive.living.empty() && b % 8 != 0) parent = pick(pair->naive);
    pair->naive.fork(child, parent);
    pair->desk.introduce(child, pair->naive.ancestors(child));
  }
  void ask(Pair* pair) const {
    if (b % 8 == 0) pair->desk.next_grant_fails = GrantFailure::caller_gone;
    if (b % 8 == 1) pair->desk.next_grant_fails = GrantFailure::byte_missing;
    pair->desk.ask(pick(pair->naive), op == Op::read);
    pair->desk.next_grant_fails.reset();
  }
  void end(Pair* pair) const {
    const ProcessId who = pick(pair->naive);
    const auto cause = static_cast<EndCause>(b % 4);
    const Processes survivors = pair->naive.children(who);
    const std::optional<ProcessId> heir = pair->naive.heir(who);
    const EndOutcome outcome = pair->naive.end(who, cause);
    pair->desk.end(who, cause, survivors, heir);
    const bool tells = outcome.held > 0 || outcome.unseen > 0 || outcome.withdraw > 0;
    const auto told =
        std::find_if(pair->desk.last.begin(), pair->desk.last.end(),
                     [](const Effect& effect) { return effect.kind == Effect::Kind::recovered; });
    RC_ASSERT((told != pair->desk.last.end()) == tells);
    if (tells) RC_ASSERT(told->end == outcome);
  }
  static void restart(Pair* pair) {
    const Pool& old = pair->desk.pool;
    std::vector<Account> accounts;
    for (const auto& entry : old.ledger().accounts()) accounts.push_back(entry.second);
    const std::vector<UnseenTake> unseen = old.ledger().unseen();
    // As the host does: what was kept back goes into the FIFO, as far as there is room.
    pair->desk.fifo = std::min(old.free() + old.reserved(), old.issued() + 1);
    Pool next(old.issued());
    next.restore(accounts, unseen, old.owed(), old.lent(), old.minted(), old.counters());
    pair->desk.pool = std::move(next);
    pair->naive.doubtful = 0;
    for (auto& entry : pair->naive.living) entry.second.overpaid = false;
  }
  void perform(Pair* pair) const {
    NaiveLedger& naive = pair->naive;
    PoolDesk& desk = pair->desk;
    if (op == Op::fork || naive.living.empty()) return fork(pair);
    const int some_count = static_cast<int>(a % 3) + 1;
    switch (op) {
      case Op::fork:
        break;
      case Op::read:
      case Op::poll:
        ask(pair);
        break;
      case Op::cancel:
        if (!desk.pool.waiting().empty()) {
          desk.cancel(desk.pool.waiting()[a % desk.pool.waiting().size()].id);
        }
        break;
      case Op::give: {
        const ProcessId who = pick(naive);
        const auto refused = desk.pool.counters().refused;
        const GiveOutcome outcome = naive.give(who, has_room(*pair));
        desk.give(who);
        RC_ASSERT((desk.pool.counters().refused > refused) == (outcome == GiveOutcome::refused));
        break;
      }
      case Op::unseen_take:
        desk.fifo -= std::min(some_count, desk.fifo);
        break;
      case Op::unseen_return:
        desk.fifo += some_count;
        break;
      case Op::end:
        end(pair);
        break;
      case Op::pass_time:
        desk.pass(std::chrono::microseconds(a % 8 == 0 ? 200000 : 300 * b));
        break;
      case Op::restart:
        restart(pair);
        break;
      case Op::end_all:
        desk.end_all();
        naive.end_all(kTokens);
        RC_ASSERT(desk.pool.free() == kTokens);
        break;
    }
  }
};

RC_GTEST_PROP(PoolModel, AgreesWithTheNaiveOneAndLosesNothing, ()) {
  Pair pair;
  rc::state::check(Empty{}, pair, rc::state::gen::execOneOfWithArgs<Step>());
  pair.desk.end_all();
  RC_ASSERT(pair.desk.pool.missing() == 0);
  RC_ASSERT(pair.desk.pool.free() == kTokens);
  RC_ASSERT(pair.desk.fifo == kTokens);
}

}  // namespace
}  // namespace tokenpool::core
