#include "host/unseen_calls.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>

namespace tokenpool::host {
namespace {

// A process is announced right before its dup2 is carried out; for this long it may not have got to
// it.
constexpr core::Instant kUnderWay = std::chrono::milliseconds(10);

using Call = UnseenCaller::Call;

bool may_have(const UnseenCaller& caller, int drift) {
  return drift < 0 ? caller.call != Call::give : caller.call == Call::give;
}

bool contains(const std::vector<core::ProcessId>& list, core::ProcessId who) {
  return std::find(list.begin(), list.end(), who) != list.end();
}

void add(core::ProcessId who, std::vector<core::ProcessId>* list) {
  if (!contains(*list, who)) list->push_back(who);
}

}  // namespace

void UnseenCalls::expect(core::ProcessId who, bool takes, core::Instant now) {
  const Call call = takes ? Call::take : Call::give;
  std::erase_if(callers_, [&](const auto& one) {
    if (one.who != who || one.call == Call::read) return false;
    return one.call == call || has_put_away(who);
  });
  callers_.push_back({.who = who, .call = call, .since = now});
}

void UnseenCalls::expect_read(core::ProcessId who, pid_t thread) {
  forget_read(thread);
  callers_.push_back({.who = who, .call = Call::read, .thread = thread});
}

void UnseenCalls::forget_read(pid_t thread) {
  std::erase_if(callers_,
                [&](const auto& one) { return one.call == Call::read && one.thread == thread; });
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

void UnseenCalls::succeeded(core::ProcessId who) {
  for (auto& one : callers_) one.succeeded = one.succeeded || one.who == who;
}

bool UnseenCalls::must_have(const UnseenCaller& caller) const {
  if (caller.call == Call::read || caller.succeeded) return true;
  if (!proc::is_alive(caller.who) || !has_put_away(caller.who)) return false;
  return caller.call == Call::give || !proc::descriptor_is_nonblocking(caller.who.pid, read_end_);
}

void UnseenCalls::forget_idle(core::Instant now) {
  std::erase_if(callers_, [&](const auto& one) {
    return one.call != Call::read && now - one.since > kUnderWay && has_put_away(one.who);
  });
}

std::vector<core::ProcessId> UnseenCalls::suspects(int drift,
                                                   const std::vector<core::ProcessId>& named) {
  const auto tokens = static_cast<std::size_t>(std::abs(drift));
  std::vector<core::ProcessId> found = named;
  if (found.empty()) {
    std::vector<core::ProcessId> all;
    for (const auto& one : callers_) {
      if (!may_have(one, drift)) continue;
      add(one.who, &all);
      if (must_have(one)) add(one.who, &found);
    }
    if (found.size() != tokens) found = std::move(all);
  }
  if (found.size() <= tokens) {
    std::erase_if(callers_, [&](const auto& one) {
      return may_have(one, drift) && contains(found, one.who);
    });
  }
  return found;
}

}  // namespace tokenpool::host
