#include "arbiter/conservation.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <utility>

#include "proc/clock.h"

namespace tokenpool::arbiter {
namespace {

using core::ProcessId;

// Looks for level and report that belong together; whoever is busier than that is found next time.
constexpr int kRounds = 8;

// The kernel moves a byte first and reports it then; whoever moved it may have to wait in between
// until it runs again. One of the two waits for the other for so long.
constexpr core::Instant kLate = std::chrono::milliseconds(20);

template <typename T>
int size_of(const std::vector<T>& list) {
  return static_cast<int>(list.size());
}

// Who took one and returned one has what it had. Answers how many did.
int leave_out_both(std::vector<ProcessId>* takers, std::vector<ProcessId>* givers) {
  return static_cast<int>(
      std::erase_if(*takers, [&](ProcessId who) { return std::erase(*givers, who) > 0; }));
}

bool is_nobodys(const std::vector<core::UnseenMove>& moves) {
  return std::any_of(moves.begin(), moves.end(),
                     [](const core::UnseenMove& move) { return move.who.empty(); });
}

}  // namespace

Conservation::Conservation(const jobserver::Fifo& fifo, std::array<int, 2> ends, bool tracked,
                           Books books)
    : fifo_(fifo),
      ends_(ends),
      tracked_(tracked),
      books_(std::move(books)),
      watch_(tracked ? fifo.path() : std::string()),
      unseen_(fifo.id(), ends[0]) {}

void Conservation::settle() { settle(true); }

void Conservation::settle_at_once() { settle(false); }

void Conservation::settle(bool may_wait) {
  if (!tracked_) return;
  if (doubtful_since_ && proc::now() - *doubtful_since_ >= kLate) doubtful_since_.reset();
  const int drift = books_.pool->drift(fifo_.level());
  if (drift != 0) return look(early(), may_wait, false);
  unexplained_since_.reset();
  explain(drift, {});
}

void Conservation::look() { look(early(), true, false); }

void Conservation::look_after_own_moves() {
  auto touches = early();
  const bool reported = watch_.collect(&touches);
  // With names nothing but ours was reported, most of the time, and that is no news.
  if (watch_.names_processes() && !reported) return;
  look(std::move(touches), true, true);
}

std::optional<core::Instant> Conservation::due() const {
  std::optional<core::Instant> due;
  for (const auto& since : {unexplained_since_, doubtful_since_}) {
    if (since && (!due || *since + kLate < *due)) due = *since + kLate;
  }
  return due;
}

void Conservation::look(jobserver::FifoTouches touches, bool may_wait, bool own_moves) {
  if (!tracked_) return;
  const int drift = books_.pool->drift(own_moves ? fifo_.level() : collect(&touches));
  if (std::exchange(touches.opens, 0) > 0) books_.looks->forget();
  // By the time that it has read, it may have ended.
  (void)adopted(std::exchange(touches.opened, {}));
  const bool named = watch_.names_processes();
  // Without names a report may be of a move that was found before it, or of one of ours.
  if (!named && (own_moves || drift != 0)) touches = {};
  if (may_wait && waits_for_report(drift, touches)) {
    early_ = std::move(touches);
    return;
  }
  unexplained_since_.reset();
  const core::MoveCounts found = explain(drift, touches);
  early_ = {};
  if (!named) return;
  if (found.taken == 0) {
    early_.reads = touches.reads;
    early_.readers = std::move(touches.readers);
  }
  if (found.returned == 0) {
    early_.writes = touches.writes;
    early_.writers = std::move(touches.writers);
  }
}

// What was reported and nothing seen of it yet.
jobserver::FifoTouches Conservation::early() {
  jobserver::FifoTouches touches;
  if (proc::now() - early_since_ < kLate) touches = early_;
  if (touches.reads == 0 && touches.writes == 0) early_since_ = proc::now();
  return touches;
}

// Level and report belong together when nothing was reported between two equal levels.
int Conservation::collect(jobserver::FifoTouches* touches) {
  int level = -1;
  for (int rounds = 0; rounds < kRounds; ++rounds) {
    const bool reported = watch_.collect(touches);
    const int before = std::exchange(level, fifo_.level());
    if (!reported && before == level) break;
  }
  return level;
}

bool Conservation::waits_for_report(int drift, const jobserver::FifoTouches& touches) {
  const bool reported = drift == 0 || (drift > 0 ? touches.writes : touches.reads) > 0;
  if (reported || !watch_.names_processes()) return false;
  if (!unexplained_since_) unexplained_since_ = proc::now();
  return proc::now() - *unexplained_since_ < kLate;
}

core::MoveCounts Conservation::explain(int drift, const jobserver::FifoTouches& touches) {
  if (touches.readers.empty() && touches.writers.empty()) {
    if (drift != 0 || !watch_.names_processes()) {
      deduce(drift, touches);
    } else {
      unseen_.forget_idle(proc::now());
    }
    return {};
  }
  std::vector<ProcessId> takers = adopted(touches.readers);
  std::vector<ProcessId> givers = adopted(touches.writers);
  const int takers_gone = size_of(touches.readers) - size_of(takers);
  const int givers_gone = size_of(touches.writers) - size_of(givers);
  const bool fits = touches.writes - touches.reads == drift;
  const int unchanged = fits ? leave_out_both(&takers, &givers) : 0;
  const auto counts =
      core::count_moves(touches.reads - unchanged, touches.writes - unchanged, drift);
  if (counts == core::MoveCounts()) return counts;
  Moves taken;
  add_moves(-counts.taken, takers, takers_gone, &taken);
  Moves returned;
  add_moves(counts.returned, givers, givers_gone, &returned);
  // What strangers pass on to strangers stays where it is booked.
  if (counts.taken > 0 && counts.returned > 0 && (is_nobodys(taken) || is_nobodys(returned))) {
    if (drift != 0) deduce(drift, {});
    return counts;
  }
  book(taken, returned);
  return counts;
}

void Conservation::deduce(int drift, const jobserver::FifoTouches& touches) {
  if (drift == 0 && unseen_.callers().empty()) return;
  // How far they have come, then the level: what is over by then is in it.
  auto calls = unseen_.calls(proc::now());
  const auto& ledger = books_.pool->ledger();
  for (auto& call : calls) call.suspected = call.takes && ledger.is_suspect(call.who);
  drift = books_.pool->drift(fifo_.level());
  const bool changed_hands = drift == 0 && touches.reads > 0 && touches.writes > 0;
  auto found = core::deduce_moves(drift, changed_hands, calls);
  unseen_.settle(found.fates);
  const auto is_doubtful = [](const core::UnseenMove& move) { return move.who.size() > 1; };
  const bool is_known = std::none_of(found.taken.begin(), found.taken.end(), is_doubtful);
  if (!is_known || changed_hands) doubtful_since_ = proc::now();
  for (auto* moves : {&found.taken, &found.returned}) {
    for (auto& move : *moves) {
      if (move.who.empty()) move = of_strangers(move.count);
    }
  }
  for (const auto& who : found.attributed) books_.pool->attribute(who);
  if (found.taken.empty() && found.returned.empty()) return;
  book(found.taken, found.returned);
}

void Conservation::book(const Moves& taken, const Moves& returned) {
  books_.looks->forget();
  for (const auto& move : taken) {
    for (const auto& who : move.who) books_.watched->look_again(who);
  }
  books_.pool->unseen(taken, returned, proc::now(), books_.effects);
  books_.apply();
}

std::vector<ProcessId> Conservation::adopted(const std::vector<pid_t>& pids) {
  std::vector<ProcessId> known;
  for (const pid_t pid : pids) {
    if (const auto id = books_.kin->adopt(pid)) known.push_back(*id);
  }
  return known;
}

void Conservation::add_moves(int drift, const std::vector<ProcessId>& named, int gone,
                             Moves* moves) {
  const int count = std::abs(drift);
  const int known = gone == 0 ? count : std::min(count, size_of(named));
  const int sign = drift < 0 ? -1 : 1;
  add_moves(sign * known, named, moves);
  add_moves(sign * (count - known), {}, moves);
}

void Conservation::add_moves(int drift, const std::vector<ProcessId>& named, Moves* moves) {
  if (drift == 0) return;
  const int count = std::abs(drift);
  auto suspects = unseen_.suspects(drift, named);
  if (suspects.empty()) return moves->push_back(of_strangers(count));
  if (size_of(suspects) != count) return moves->push_back({count, std::move(suspects)});
  // One call each: nobody is suspected, all are known.
  for (const auto& who : suspects) moves->push_back({1, {who}});
}

core::UnseenMove Conservation::of_strangers(int count) {
  std::vector<ProcessId> suspects;
  // Whoever opened the FIFO has been named, and who makes its calls unseen on the inherited numbers
  // has been announced: they are in view, or who sent them is.
  if (watch_.names_processes()) suspects = books_.kin->unseen_callers();
  if (suspects.empty()) suspects = books_.kin->likely_callers(fifo_.id(), ends_);
  return {count, std::move(suspects), false};
}

}  // namespace tokenpool::arbiter
