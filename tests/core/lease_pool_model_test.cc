// Random histories told to a pool of leases; the naive one follows what it did, says whether that
// was right, and both agree after every step.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>
#include <rapidcheck/state.h>

#include "core/lease_desk.h"
#include "core/naive_leases.h"
#include "core/processes.h"

namespace tokenpool::core {
namespace {

using std::chrono::milliseconds;

constexpr int kSlots = 5;
constexpr const char* kTypes[] = {"", "", "link", "test"};

enum class Op : std::uint8_t {
  ask,
  release,
  resize,
  cancel,
  pass_time,
  late,
  end_session,
  end_owner,
  hand_over,
  resume,
  limit,
  ceiling,
  pause,
  grace,
  supply,
  cover,
};
constexpr const char* kOpNames[] = {
    "ask",       "release", "resize", "cancel",  "pass_time", "late",  "end_session", "end_owner",
    "hand_over", "resume",  "limit",  "ceiling", "pause",     "grace", "supply",      "cover"};

struct Pair {
  Pair() {
    naive.supply = kSlots;
    naive.ceiling = kSlots;
  }
  LeaseDesk desk{kSlots, 1};
  NaiveLeases naive;
  std::size_t answers = 0;
  std::size_t recoveries = 0;
};

void compare(const Pair& pair) {
  const LeasePool& pool = pair.desk.pool;
  const NaiveLeases& naive = pair.naive;
  RC_ASSERT(pool.free() == naive.free());
  RC_ASSERT(pool.leases().size() == naive.leases.size());
  for (const Lease& lease : naive.leases) {
    RC_ASSERT(pool.find(lease.id) != nullptr);
    RC_ASSERT(*pool.find(lease.id) == lease);
  }
  const auto line = pool.waiting();
  RC_ASSERT(line.size() == naive.line.size());
  for (std::size_t i = 0; i < line.size(); ++i) {
    RC_ASSERT(naive.waiter(line[i]->ticket) != nullptr);
    RC_ASSERT(naive.waiter(line[i]->ticket)->request == *line[i]);
    if (i > 0) RC_ASSERT(NaiveLeases::before(*line[i - 1], *line[i]));
  }
  for (const char* type : {"link", "test"}) RC_ASSERT(pool.jobs_of_type(type) == naive.jobs(type));
  RC_ASSERT(pool.counters().peak_cost >= pool.leased());
  // A pool that is its own master has no use for what it leaves lying about.
  if (pool.free() >= 0) RC_ASSERT(pool.useful(0, pair.desk.now) == 0);
}

struct Empty {};

struct Step : rc::state::Command<Empty, Pair> {
  Op op = *rc::gen::weightedElement<Op>({{24, Op::ask},
                                         {12, Op::release},
                                         {4, Op::resize},
                                         {3, Op::cancel},
                                         {8, Op::pass_time},
                                         {2, Op::late},
                                         {2, Op::end_session},
                                         {2, Op::end_owner},
                                         {1, Op::hand_over},
                                         {2, Op::resume},
                                         {2, Op::limit},
                                         {1, Op::ceiling},
                                         {1, Op::pause},
                                         {1, Op::grace},
                                         {1, Op::supply},
                                         {2, Op::cover}});
  unsigned a = *rc::gen::inRange(0U, 64U);
  unsigned b = *rc::gen::inRange(0U, 64U);
  unsigned c = *rc::gen::inRange(0U, 64U);

  void run(const Empty&, Pair& pair) const override {
    if (op == Op::pass_time) {
      pass(&pair);
    } else {
      if (op == Op::late) pair.desk.now += milliseconds(100 * a);
      pair.naive.look_at_head(pair.desk.now);
      perform(&pair);
      settle(&pair);
    }
    compare(pair);
  }
  void show(std::ostream& out) const override {
    out << kOpNames[static_cast<int>(op)] << "(" << a << ", " << b << ", " << c << ")";
  }

 private:
  /// What the desk has collected, told to the naive one.
  static void settle(Pair* pair) {
    LeaseDesk& desk = pair->desk;
    NaiveLeases& naive = pair->naive;
    for (; pair->answers < desk.answered.size(); ++pair->answers) {
      const Ticket ticket = desk.answered[pair->answers];
      const NaiveWait* wait = naive.waiter(ticket);
      RC_ASSERT(wait != nullptr);
      const auto deadline = wait->request.deadline;
      const bool is_due = deadline && *deadline <= desk.now;
      if (desk.granted(ticket)) {
        naive.follow_grant(ticket, desk.answers.at(ticket).second, desk.now);
        continue;
      }
      const bool impossible = desk.answer(ticket) == LeaseDesk::Answer::impossible;
      RC_ASSERT(impossible == naive.impossible(wait->request));
      if (!impossible) RC_ASSERT(is_due);
      naive.forget(ticket);
    }
    RC_ASSERT(pair->recoveries == desk.recovered.size() + desk.finished.size());
    naive.pay_running();
    naive.note_head(desk.now);
    naive.check_line(desk.now);
    naive.check_payers();
  }
  void pass(Pair* pair) const {
    LeaseDesk& desk = pair->desk;
    const Instant end = desk.now + milliseconds(a % 4 == 0 ? 100 * b : 10 * b);
    for (auto due = desk.pool.next_deadline(); due && *due <= end;
         due = desk.pool.next_deadline()) {
      desk.now = std::max(desk.now, *due);
      pair->naive.look_at_head(desk.now);
      desk.advance();
      settle(pair);
      RC_ASSERT(desk.pool.next_deadline() != due);
    }
    desk.now = end;
    for (const NaiveWait& wait : pair->naive.line) {
      RC_ASSERT(!wait.request.deadline || *wait.request.deadline > end);
    }
  }
  void ask(Pair* pair) const {
    Ask what;
    what.min = a % 8 < 5 ? 1 : 1 + static_cast<int>(a % 7);
    what.max = what.min + (b % 4 == 0 ? static_cast<int>(b / 8) : 0);
    what.type = kTypes[c % 4];
    what.priority = static_cast<int>(c / 4 % 4 == 0 ? b % 3 : 1);
    what.session = 1 + a % 3;
    what.client = process(10 + static_cast<int>(a % 3));
    if (b % 5 == 1) what.owner = process(1 + static_cast<int>(c % 3));
    what.payer = payer(pair->naive, a / 4 + b);
    if (c % 3 == 0) what.timeout = milliseconds(100 * (b % 16));
    const bool waits = !what.timeout || *what.timeout > Instant::zero();
    LeaseRequest request;
    request.ticket = pair->desk.last_ticket + 1;
    request.session = what.session;
    request.client = what.client;
    request.payer = what.payer;
    request.owner = what.owner;
    request.min = what.min;
    request.max = what.max;
    request.job.type = what.type;
    request.job.priority = what.priority;
    request.since = pair->desk.now;
    if (what.timeout) request.deadline = pair->desk.now + *what.timeout;
    pair->naive.line.push_back({request, waits});
    pair->desk.ask(what);
    if (!waits) RC_ASSERT(!pair->desk.waits(request.ticket));
  }
  static Payer payer(const NaiveLeases& naive, unsigned which) {
    switch (which % 6) {
      case 0:
        return {Payer::Kind::root, {}, 0};
      case 1:
        return {Payer::Kind::process, process(1), 0};
      case 2:
        if (naive.leases.empty()) return {Payer::Kind::lease, {}, 4711};
        return {Payer::Kind::lease, {}, naive.leases[which / 6 % naive.leases.size()].id};
      default:
        return {};
    }
  }
  void resize(Pair* pair, const Lease& lease) const {
    const int min = 1 + static_cast<int>(b % 6);
    const int max = min + static_cast<int>(c % 3);
    const int free = std::max(0, pair->naive.free());
    const bool grows = pair->naive.line.empty() && pair->naive.grants(pair->desk.now);
    int slots = std::min(lease.slots, max);
    if (lease.slots < max && grows) slots = std::min(max, lease.slots + free);
    const auto answer = pair->desk.resize(lease.id, min, max);
    RC_ASSERT(answer.has_value() == (slots >= min));
    if (!answer) return;
    RC_ASSERT(*answer == slots);
    pair->naive.shrink(lease.id, slots);
  }
  void resume(Pair* pair) const {
    NaiveLeases& naive = pair->naive;
    Lease lease;
    lease.id = b % 4 == 0 ? 0 : 1 + b;
    lease.session = 1 + a % 3;
    lease.slots = 1 + static_cast<int>(c % 3);
    lease.payer = payer(naive, a / 4);
    lease.job.type = kTypes[c / 4 % 4];
    if (a % 5 == 0) lease.owner = process(1 + static_cast<int>(c % 3));
    const bool is_known = lease.id != 0 && naive.find(lease.id) != nullptr;
    const LeaseId wanted = lease.id;
    if (!is_known) {
      // As it was declared: the slots that it runs on are paid for first.
      lease.paid = std::min(lease.slots, naive.unused(lease.payer));
      lease.since = pair->desk.now;
    }
    Lease told = lease;
    told.paid = 3;
    lease.id = pair->desk.resume(told);
    if (wanted != 0) RC_ASSERT(lease.id == wanted);
    if (is_known) {
      naive.find(lease.id)->session = lease.session;
    } else {
      RC_ASSERT(naive.find(lease.id) == nullptr);
      naive.leases.push_back(lease);
    }
  }
  template <typename Condition>
  static void end_leases(Pair* pair, Condition ends) {
    const std::vector<Lease> leases = pair->naive.leases;
    for (const Lease& lease : leases) {
      if (!ends(lease)) continue;
      ++pair->recoveries;
      pair->naive.shrink(lease.id, 0);
    }
  }
  void end_session(Pair* pair) const {
    NaiveLeases& naive = pair->naive;
    const SessionId session = 1 + a % 3;
    std::erase_if(naive.line,
                  [&](const NaiveWait& wait) { return wait.request.session == session; });
    end_leases(pair, [&](const Lease& lease) { return lease.session == session && !lease.owner; });
    for (Lease& lease : naive.leases) {
      if (lease.session == session) lease.session = 0;
    }
    pair->desk.end_session(session);
  }
  void end_owner(Pair* pair) const {
    const ProcessId owner = process(1 + static_cast<int>(a % 3));
    for (NaiveWait& wait : pair->naive.line) {
      if (wait.request.owner == owner) wait.request.owner.reset();
    }
    end_leases(pair, [&](const Lease& lease) { return lease.owner == owner; });
    pair->desk.end_owner(owner);
  }
  void limit(Pair* pair) const {
    const char* type = kTypes[2 + a % 2];
    std::optional<int> limit;
    if (b % 3 != 0) limit = static_cast<int>(b % 4);
    if (limit) {
      pair->naive.limits[type] = *limit;
    } else {
      pair->naive.limits.erase(type);
    }
    RC_ASSERT(pair->desk.set_limit(type, limit));
  }
  void supply(Pair* pair) const {
    const int change = std::max(static_cast<int>(a % 5) - 2, -pair->naive.supply);
    pair->naive.supply += change;
    pair->desk.supply(change);
  }
  void perform(Pair* pair) const {
    LeaseDesk& desk = pair->desk;
    NaiveLeases& naive = pair->naive;
    switch (op) {
      case Op::ask:
        return ask(pair);
      case Op::release:
        if (naive.leases.empty()) break;
        return release(pair, naive.leases[a % naive.leases.size()]);
      case Op::resize:
        if (naive.leases.empty()) break;
        return resize(pair, Lease(naive.leases[a % naive.leases.size()]));
      case Op::cancel: {
        const Ticket ticket = desk.last_ticket - std::min<Ticket>(desk.last_ticket, a % 16);
        RC_ASSERT((naive.waiter(ticket) != nullptr) == desk.cancel(ticket));
        naive.forget(ticket);
        break;
      }
      case Op::pass_time:
      case Op::late:
        desk.advance();
        break;
      case Op::end_session:
        return end_session(pair);
      case Op::end_owner:
        return end_owner(pair);
      case Op::hand_over:
        if (naive.leases.empty()) break;
        naive.leases[a % naive.leases.size()].owner = process(1 + static_cast<int>(b % 3));
        desk.pool.hand_to(naive.leases[a % naive.leases.size()].id,
                          process(1 + static_cast<int>(b % 3)));
        break;
      case Op::resume:
        return resume(pair);
      case Op::limit:
        return limit(pair);
      case Op::ceiling:
        naive.ceiling = 1 + static_cast<int>(a % 8);
        desk.set_ceiling(naive.ceiling);
        break;
      case Op::pause:
        naive.paused = !naive.paused;
        desk.pause(naive.paused);
        break;
      case Op::grace:
        naive.grace = desk.now + milliseconds(10 * a);
        desk.pool.set_grace(naive.grace);
        break;
      case Op::supply:
        return supply(pair);
      case Op::cover:
        naive.covers[payer(naive, a % 2)] = static_cast<int>(b % 4);
        desk.covers = naive.covers;
        desk.reconsider();
        break;
    }
    // Nothing may be overdue when nobody has looked for a while.
    if (op == Op::hand_over || op == Op::grace) desk.advance();
  }
  void release(Pair* pair, const Lease& lease) const {
    const LeaseId id = lease.id;
    const int slots = static_cast<int>(b % 4);
    const int left = slots > 0 && slots < lease.slots ? lease.slots - slots : 0;
    pair->naive.shrink(id, left);
    RC_ASSERT(pair->desk.release(id, slots) == left);
  }
};

RC_GTEST_PROP(LeasePoolModel, AgreesWithTheNaiveOneAndKeepsItsPolicy, ()) {
  Pair pair;
  rc::state::check(Empty{}, pair, rc::state::gen::execOneOfWithArgs<Step>());
  // However it went: without debts and limits everybody who waits is served in the end.
  LeaseDesk& desk = pair.desk;
  desk.pause(false);
  desk.pool.set_grace(desk.now);
  for (const char* type : {"link", "test"}) desk.set_limit(type, std::nullopt);
  desk.supply(std::max(0, 8 - desk.supplied));
  desk.advance();
  const std::size_t most = desk.pool.waiting_count() + desk.pool.leases().size();
  for (std::size_t i = 0; i <= most && !desk.pool.leases().empty(); ++i) {
    desk.release(desk.pool.leases().begin()->first);
  }
  RC_ASSERT(desk.pool.leases().empty());
  RC_ASSERT(desk.pool.waiting_count() == 0U);
  RC_ASSERT(desk.pool.free() == desk.supplied);
}

}  // namespace
}  // namespace tokenpool::core
