// Random histories told to both pools with a FIFO that is a number. BothDesk adds what holds after
// every step: no token is missing, balance() comes to rest, nothing of use lies about, nothing that
// nobody uses is kept, and the one that is next waits.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>
#include <rapidcheck/state.h>

#include "core/both_desk.h"
#include "core/processes.h"

namespace tokenpool::core {
namespace {

using std::chrono::milliseconds;

constexpr int kTokens = 4;

enum class Op : std::uint8_t {
  read,
  poll,
  cancel_read,
  give,
  unseen_take,
  unseen_return,
  end,
  lease,
  lease_lacks,
  cancel_lease,
  release,
  resize,
  end_session,
  end_owner,
  issue,
  limit,
  pause,
  cover,
  pass_time,
  restart,
};
constexpr const char* kOpNames[] = {
    "read",  "poll",        "cancel_read",  "give",    "unseen_take", "unseen_return", "end",
    "lease", "lease_lacks", "cancel_lease", "release", "resize",      "end_session",   "end_owner",
    "issue", "limit",       "pause",        "cover",   "pass_time",   "restart"};

struct Build {
  Build() {
    for (int i = 0; i < 4; ++i) begin_process();
  }
  void begin_process() {
    living.push_back(process(next_pid++));
    desk.tokens.introduce(living.back());
  }
  BothDesk desk{kTokens};
  Processes living;  ///< clients of tokens
  int next_pid = 1;
};

struct Empty {};

struct Step : rc::state::Command<Empty, Build> {
  Op op = *rc::gen::weightedElement<Op>(
      {{8, Op::read},        {8, Op::poll},          {2, Op::cancel_read}, {10, Op::give},
       {2, Op::unseen_take}, {2, Op::unseen_return}, {2, Op::end},         {14, Op::lease},
       {2, Op::lease_lacks}, {2, Op::cancel_lease},  {10, Op::release},    {3, Op::resize},
       {1, Op::end_session}, {1, Op::end_owner},     {2, Op::issue},       {1, Op::limit},
       {1, Op::pause},       {1, Op::cover},         {6, Op::pass_time},   {1, Op::restart}});
  unsigned a = *rc::gen::inRange(0U, 64U);
  unsigned b = *rc::gen::inRange(0U, 64U);

  void run(const Empty&, Build& build) const override {
    build.desk.thieves = some(build);
    perform(&build);
    build.desk.tokens.next_grant_fails.reset();
    build.desk.tokens.next_lend_lacks = 0;
    const Pool& pool = build.desk.tokens.pool;
    RC_ASSERT(pool.missing() == 0);
    RC_ASSERT(pool.drift(build.desk.tokens.fifo) == 0);
    RC_ASSERT(pool.counters().peak_outstanding >= pool.ledger().outstanding() + pool.lent());
    // However many slots come back at once: two rounds for each, and for what is lent in one piece.
    RC_ASSERT(build.desk.most_rounds <= 2 * kTokens + 4);
  }
  void show(std::ostream& out) const override {
    out << kOpNames[static_cast<int>(op)] << "(" << a << ", " << b << ")";
  }

 private:
  ProcessId pick(const Build& build) const { return build.living[a % build.living.size()]; }
  Processes some(const Build& build) const {
    Processes list;
    for (const ProcessId who : build.living) {
      if ((b >> static_cast<unsigned>(who.pid) % 6 & 1U) != 0) list.push_back(who);
    }
    return list;
  }
  std::optional<LeaseId> lease_of(const Build& build) const {
    std::vector<LeaseId> ids;
    for (const auto& entry : build.desk.leases.pool.leases()) ids.push_back(entry.first);
    if (ids.empty()) return std::nullopt;
    std::sort(ids.begin(), ids.end());
    return ids[a % ids.size()];
  }
  void ask(Build* build) const {
    PoolDesk& tokens = build->desk.tokens;
    if (b % 8 == 0) tokens.next_grant_fails = GrantFailure::caller_gone;
    if (b % 8 == 1) tokens.next_grant_fails = GrantFailure::byte_missing;
    build->desk.ask(pick(*build), op == Op::read);
  }
  void lease(Build* build) const {
    Ask what;
    what.min = a % 3 == 0 ? 1 + static_cast<int>(a / 3 % 5) : 1;
    what.max = what.min + (b % 5 == 0 ? static_cast<int>(b / 5) : 0);
    if (b % 7 == 0) what.type = "link";
    what.priority = static_cast<int>(b % 2);
    what.session = 1 + a % 3;
    what.client = process(100 + static_cast<int>(a % 3));
    if (b % 6 == 0) what.owner = process(200 + static_cast<int>(a % 2));
    if (b % 8 == 2) what.payer = {Payer::Kind::root, {}, 0};
    if (b % 8 == 3) what.payer = {Payer::Kind::lease, {}, lease_of(*build).value_or(9)};
    if (b % 3 == 0) what.timeout = milliseconds(10 * (a % 4));
    if (op == Op::lease_lacks) build->desk.tokens.next_lend_lacks = 1 + static_cast<int>(b % 3);
    const Ticket ticket = build->desk.lease(what);
    if (what.timeout != Instant::zero()) return;
    build->desk.pass(Instant::zero());
    RC_ASSERT(!build->desk.leases.waits(ticket));
  }
  void end_process(Build* build) const {
    const ProcessId who = pick(*build);
    std::erase(build->living, who);
    build->desk.tokens.end(who, static_cast<EndCause>(b % 4));
    build->begin_process();
  }
  void restart(Build* build) const {
    std::vector<Lease> declared;
    for (const auto& entry : build->desk.leases.pool.leases()) {
      if ((b >> entry.first % 6 & 1U) == 0) declared.push_back(entry.second);
    }
    std::sort(declared.begin(), declared.end(), [this](const Lease& one, const Lease& other) {
      return a % 2 == 0 ? one.id < other.id : one.id > other.id;
    });
    build->desk.restart(declared, milliseconds(a % 4 == 0 ? 0 : 300));
  }
  void perform(Build* build) const {
    BothDesk& desk = build->desk;
    const int some_count = static_cast<int>(a % 3) + 1;
    switch (op) {
      case Op::read:
      case Op::poll:
        return ask(build);
      case Op::cancel_read:
        for (const Request& request : desk.tokens.pool.waiting()) {
          if (request.lease) continue;
          desk.tokens.cancel(request.id);
          break;
        }
        break;
      case Op::give:
        return desk.give(pick(*build));
      case Op::unseen_take:
        desk.tokens.fifo -= std::min(some_count, desk.tokens.fifo);
        break;
      case Op::unseen_return:
        desk.tokens.fifo += some_count;
        break;
      case Op::end:
        end_process(build);
        break;
      case Op::lease:
      case Op::lease_lacks:
        return lease(build);
      case Op::cancel_lease:
        if (!desk.leases.pool.waiting().empty()) {
          desk.leases.cancel(
              desk.leases.pool.waiting()[a % desk.leases.pool.waiting_count()]->ticket);
        }
        break;
      case Op::release:
        if (const auto id = lease_of(*build)) desk.release(*id, static_cast<int>(b % 3));
        break;
      case Op::resize:
        if (const auto id = lease_of(*build)) desk.resize(*id, 1, 1 + static_cast<int>(b % 6));
        break;
      case Op::end_session:
        desk.leases.end_session(1 + a % 3);
        break;
      case Op::end_owner:
        desk.leases.end_owner(process(200 + static_cast<int>(a % 2)));
        break;
      case Op::issue:
        desk.set_issued(static_cast<int>(a % (kTokens + 1)));
        break;
      case Op::limit:
        desk.leases.set_limit("link", static_cast<int>(a % 3));
        break;
      case Op::pause:
        desk.leases.pause(!desk.leases.pool.paused());
        break;
      case Op::cover:
        desk.leases.covers[{Payer::Kind::root, {}, 0}] = static_cast<int>(a % 2);
        desk.leases.reconsider();
        break;
      case Op::pass_time:
        desk.pass(std::chrono::microseconds(a % 8 == 0 ? 900000 : 300 * b));
        break;
      case Op::restart:
        restart(build);
        break;
    }
    desk.settle();
  }
};

RC_GTEST_PROP(BalanceModel, LosesNothingAndComesToRest, ()) {
  Build build;
  rc::state::check(Empty{}, build, rc::state::gen::execOneOfWithArgs<Step>());
  BothDesk& desk = build.desk;
  desk.leases.pause(false);
  for (SessionId session = 0; session <= 3; ++session) desk.leases.end_session(session);
  for (int owner = 200; owner < 202; ++owner) desk.leases.end_owner(process(owner));
  desk.settle();
  desk.pass(milliseconds(300));
  RC_ASSERT(desk.leases.pool.leases().empty());
  RC_ASSERT(desk.tokens.pool.lent() == 0);
  for (const ProcessId who : Processes(build.living)) {
    desk.tokens.end(who, EndCause::killed);
    desk.settle();
  }
  desk.pass(std::chrono::seconds(1));
  RC_ASSERT(desk.tokens.pool.owed() == 0);
  RC_ASSERT(desk.tokens.fifo == desk.tokens.pool.issued());
}

}  // namespace
}  // namespace tokenpool::core
