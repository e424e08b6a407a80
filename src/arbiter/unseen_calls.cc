#include "arbiter/unseen_calls.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <utility>

namespace tokenpool::arbiter {
namespace {

// A process is announced right before its call is carried out; where the kernel does not tell what
// it has read and written since, it may not have got to it for this long.
constexpr core::Instant kUnderWay = std::chrono::milliseconds(10);

using Call = board::UnseenCaller::Call;
using Stage = core::ExpectedCall::Stage;

bool may_have(const board::UnseenCaller& caller, int drift) {
  return drift < 0 ? caller.call != Call::give : caller.call == Call::give;
}

bool contains(const std::vector<core::ProcessId>& list, core::ProcessId who) {
  return std::find(list.begin(), list.end(), who) != list.end();
}

// What its thread has read and written since it was announced. Nothing where that is not known.
std::optional<proc::IoCounts> io_since(const board::UnseenCaller& caller) {
  if (!caller.before) return std::nullopt;
  auto counts = proc::io_counts(caller.thread);
  if (!counts) return std::nullopt;
  counts->bytes_read -= caller.before->bytes_read;
  counts->reads -= caller.before->reads;
  counts->writes -= caller.before->writes;
  return counts;
}

}  // namespace

void UnseenCalls::expect(core::ProcessId who, pid_t thread, bool takes, core::Instant now) {
  const Call call = takes ? Call::take : Call::give;
  std::erase_if(callers_, [&](const auto& one) {
    if (one.who != who || one.call == Call::read) return false;
    return one.call == call || has_put_away(who);
  });
  callers_.push_back({.who = who,
                      .call = call,
                      .thread = thread,
                      .before = proc::io_counts(thread),
                      .since = now});
}

void UnseenCalls::expect_read(core::ProcessId who, pid_t thread) {
  forget_read(thread);
  callers_.push_back(
      {.who = who, .call = Call::read, .thread = thread, .before = proc::io_counts(thread)});
}

void UnseenCalls::read_is_over(pid_t thread) {
  for (auto& one : callers_) {
    if (one.call == Call::read && one.thread == thread) one.over = true;
  }
}

void UnseenCalls::forget_read(pid_t thread) {
  std::erase_if(callers_,
                [&](const auto& one) { return one.call == Call::read && one.thread == thread; });
}

void UnseenCalls::succeeded(core::ProcessId who) {
  for (auto& one : callers_) one.succeeded = one.succeeded || one.who == who;
}

void UnseenCalls::forget(core::ProcessId who) {
  std::erase_if(callers_, [&](const auto& one) { return one.who == who; });
}

bool UnseenCalls::has_put_away(core::ProcessId who) const {
  for (int fd = 0; fd <= 2; ++fd) {
    if (proc::descriptor_is(who.pid, fd, fifo_)) return false;
  }
  return true;
}

// One that ends has closed them all before anybody can tell that it is dead.
bool UnseenCalls::has_descriptors(core::ProcessId who) const {
  for (const int fd : {read_end_, 0, 1, 2}) {
    if (proc::has_descriptor(who.pid, fd)) return true;
  }
  return false;
}

Stage UnseenCalls::stage(const board::UnseenCaller& caller, core::Instant now) const {
  if (caller.succeeded) return Stage::over;
  if (caller.call == Call::read) return stage_of_read(caller);
  if (!has_put_away(caller.who)) return Stage::pending;
  const bool lives = has_descriptors(caller.who) && proc::is_alive(caller.who);
  if (lives) return stage_of_living(caller, now);
  // One that waited may have been killed; a return waits for nothing.
  return caller.call == Call::give ? Stage::over : Stage::pending;
}

Stage UnseenCalls::stage_of_read(const board::UnseenCaller& caller) {
  const auto io = io_since(caller);
  if (!io) return caller.over ? Stage::in_vain : Stage::pending;
  if (io->reads == 0 && !caller.over) return Stage::pending;
  if (io->bytes_read == 0) return Stage::failed;
  // Of several it may have been another that found something.
  return io->reads == 1 ? Stage::over : Stage::in_vain;
}

// Of one that has put the FIFO away, or has not got to it yet.
Stage UnseenCalls::stage_of_living(const board::UnseenCaller& caller, core::Instant now) const {
  const auto io = io_since(caller);
  if (!io) {
    if (now - caller.since <= kUnderWay) return Stage::pending;
    const bool waits = !proc::descriptor_is_nonblocking(caller.who.pid, read_end_);
    return caller.call == Call::give || waits ? Stage::over : Stage::in_vain;
  }
  if (caller.call == Call::give) return io->writes > 0 ? Stage::over : Stage::pending;
  if (io->bytes_read > 0) return Stage::over;
  return io->reads > 0 ? Stage::failed : Stage::pending;
}

std::vector<core::ExpectedCall> UnseenCalls::calls(core::Instant now) const {
  std::vector<core::ExpectedCall> calls;
  calls.reserve(callers_.size());
  for (const auto& one : callers_) {
    calls.push_back({.who = one.who,
                     .takes = one.call != Call::give,
                     .stage = stage(one, now),
                     .several = one.succeeded || one.call == Call::read,
                     .booked = one.booked});
  }
  return calls;
}

void UnseenCalls::settle(std::span<const core::Deduction::Fate> fates) {
  using Fate = core::Deduction::Fate;
  std::vector<board::UnseenCaller> left;
  for (std::size_t i = 0; i < callers_.size(); ++i) {
    if (fates[i] == Fate::over) continue;
    left.push_back(callers_[i]);
    left.back().booked = fates[i] == Fate::booked;
  }
  callers_ = std::move(left);
}

std::vector<core::ProcessId> UnseenCalls::suspects(int drift,
                                                   const std::vector<core::ProcessId>& named) {
  std::vector<core::ProcessId> found = named;
  if (found.empty()) {
    for (const auto& one : callers_) {
      if (may_have(one, drift) && !contains(found, one.who)) found.push_back(one.who);
    }
  }
  if (found.size() <= static_cast<std::size_t>(std::abs(drift))) {
    std::erase_if(callers_, [&](const auto& one) {
      return may_have(one, drift) && contains(found, one.who);
    });
  }
  return found;
}

void UnseenCalls::forget_idle(core::Instant now) {
  std::erase_if(callers_, [&](const auto& one) {
    return one.call != Call::read && stage(one, now) != Stage::pending;
  });
}

}  // namespace tokenpool::arbiter
