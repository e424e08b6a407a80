// Random lives of a build, told to the ledger and to a naive model of it: they agree after every
// step.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>
#include <rapidcheck/state.h>

#include "core/ledger.h"
#include "core/naive_ledger.h"
#include "core/processes.h"

namespace tokenpool::core {
namespace {

constexpr int kTokens = 6;

enum class Op : std::uint8_t {
  fork,
  take,
  take_undone,
  give,
  unseen_take,
  attribute,
  unseen_return,
  end,
};
constexpr const char* kOpNames[] = {"fork",        "take",      "take_undone",   "give",
                                    "unseen_take", "attribute", "unseen_return", "end"};

struct Model {
  NaiveLedger ledger{kTokens};
  int next_pid = 1;
};

void compare(const NaiveLedger& model, const Ledger& ledger) {
  RC_ASSERT(ledger.outstanding() == model.outstanding());
  RC_ASSERT(ledger.accounts().size() == model.living.size());
  int unseen = 0;
  for (const UnseenTake& take : ledger.unseen()) unseen += take.count;
  RC_ASSERT(unseen == model.count(NaiveToken::Where::unseen));
  for (const auto& [who, state] : model.living) {
    const Account* account = ledger.find(who);
    RC_ASSERT(account != nullptr);
    RC_ASSERT(account->own == model.count(NaiveToken::Where::own, who) - (state.lends ? 1 : 0));
    RC_ASSERT(account->inherited == model.count(NaiveToken::Where::inherited, who));
    RC_ASSERT(account->client == state.client);
    RC_ASSERT(account->returns == state.returns);
  }
}

struct Step : rc::state::Command<Model, Ledger> {
  Op op = *rc::gen::weightedElement<Op>({{4, Op::fork},
                                         {8, Op::take},
                                         {1, Op::take_undone},
                                         {6, Op::give},
                                         {3, Op::unseen_take},
                                         {2, Op::attribute},
                                         {2, Op::unseen_return},
                                         {4, Op::end}});
  unsigned a = *rc::gen::inRange(0U, 64U);
  unsigned b = *rc::gen::inRange(0U, 64U);

  void apply(Model& model) const override { perform(model, nullptr); }
  void run(const Model& before, Ledger& ledger) const override {
    Model model = before;
    perform(model, &ledger);
    compare(model.ledger, ledger);
  }
  void show(std::ostream& out) const override {
    out << kOpNames[static_cast<int>(op)] << "(" << a << ", " << b << ")";
  }

 private:
  static ProcessId pick(const NaiveLedger& model, unsigned number) {
    auto entry = model.living.begin();
    std::advance(entry, number % model.living.size());
    return entry->first;
  }
  static Processes pick_some(const NaiveLedger& model, unsigned bits) {
    Processes some;
    for (const auto& entry : model.living) {
      if ((bits >> (some.size() + static_cast<unsigned>(entry.first.pid)) % 6 & 1U) != 0) {
        some.push_back(entry.first);
      }
    }
    return some;
  }

  void fork(Model& model, Ledger* ledger) const {
    const ProcessId child = process(model.next_pid++);
    std::optional<ProcessId> parent;
    // One in eight is a process without a parent inside the build, as a daemon's child would be.
    if (!model.ledger.living.empty() && b % 8 != 0) parent = pick(model.ledger, a);
    const bool client = (a / 8) % 4 == 0;
    model.ledger.fork(child, parent, client);
    if (ledger != nullptr) ledger->introduce(child, model.ledger.ancestors(child), client);
  }

  void perform(Model& state, Ledger* ledger) const {
    NaiveLedger& model = state.ledger;
    if (op == Op::fork || model.living.empty()) return fork(state, ledger);
    const ProcessId who = pick(model, a);
    const int free = model.count(NaiveToken::Where::free);
    const int some = static_cast<int>(b % 3) + 1;
    switch (op) {
      case Op::fork:
        break;
      case Op::take:
        if (free == 0) return;
        model.take(who);
        if (ledger != nullptr) ledger->take(who);
        return;
      case Op::take_undone:
        // To the model it is an attempt that changed nothing but that the caller was seen.
        model.living[who].client = true;
        if (ledger != nullptr) {
          ledger->take(who);
          ledger->untake(who);
        }
        return;
      case Op::give: {
        const GiveOutcome outcome = model.give(who, b % 2 == 0);
        if (ledger != nullptr) RC_ASSERT(ledger->give(who, b % 2 == 0) == outcome);
        return;
      }
      case Op::unseen_take: {
        if (free < some) return;
        const Processes openers = pick_some(model, a);
        const bool certain = b % 2 == 0;
        const int back = model.unseen_take(some, openers, certain);
        if (ledger != nullptr) RC_ASSERT(ledger->unseen_take(some, openers, certain) == back);
        return;
      }
      case Op::attribute: {
        const bool was_suspect = model.attribute(who);
        if (ledger != nullptr) RC_ASSERT(ledger->attribute(who) == was_suspect);
        return;
      }
      case Op::unseen_return: {
        const Processes openers = pick_some(model, a);
        const bool certain = b % 2 == 0;
        const bool may_lend = b % 3 == 0;
        const int refused = model.unseen_return(some, openers, certain, may_lend);
        if (ledger == nullptr) return;
        RC_ASSERT(ledger->unseen_return(some, openers, certain, may_lend) == refused);
        return;
      }
      case Op::end: {
        const auto cause = static_cast<EndCause>(b % 4);
        const Processes survivors = model.children(who);
        std::optional<ProcessId> heir = model.heir(who);
        const EndOutcome outcome = model.end(who, cause);
        model.collect_debt();
        if (ledger != nullptr) RC_ASSERT(ledger->end(who, cause, survivors, heir) == outcome);
        return;
      }
    }
  }
};

RC_GTEST_PROP(LedgerModel, AgreesWithTheNaiveOne, ()) {
  Ledger ledger;
  rc::state::check(Model{}, ledger, rc::state::gen::execOneOfWithArgs<Step>());
  (void)ledger.end_all();
  RC_ASSERT(ledger.outstanding() == 0);
}

}  // namespace
}  // namespace tokenpool::core
