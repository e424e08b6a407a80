#include "host/unseen_calls.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>

namespace tokenpool::host {
namespace {

// A process is announced right before its dup2 is carried out; for this long it may not have got to
// it.
constexpr core::Instant kUnderWay = std::chrono::milliseconds(10);

}  // namespace

void UnseenCalls::erase(std::vector<Announced>* list, core::ProcessId who) {
  std::erase_if(*list, [&](const Announced& entry) { return entry.who == who; });
}

void UnseenCalls::expect(core::ProcessId who, bool takes, core::Instant now) {
  auto* list = takes ? &takers_ : &givers_;
  erase(list, who);
  list->push_back({who, now, false});
}

void UnseenCalls::expect_read(core::ProcessId who, pid_t thread) {
  forget_read(thread);
  reading_.push_back({who, thread});
}

void UnseenCalls::forget_read(pid_t thread) {
  std::erase_if(reading_, [&](const Reading& entry) { return entry.thread == thread; });
}

void UnseenCalls::forget(core::ProcessId who) {
  std::erase_if(reading_, [&](const Reading& entry) { return entry.who == who; });
  erase(&takers_, who);
  erase(&givers_, who);
}

bool UnseenCalls::has_put_away(core::ProcessId who) const {
  for (int fd = 0; fd <= 2; ++fd) {
    if (proc::descriptor_is(who.pid, fd, fifo_)) return false;
  }
  return true;
}

void UnseenCalls::succeeded(core::ProcessId who) {
  for (auto* list : {&takers_, &givers_}) {
    for (auto& entry : *list) entry.succeeded = entry.succeeded || entry.who == who;
  }
}

bool UnseenCalls::must_have(const Announced& entry, bool takes) const {
  if (entry.succeeded) return true;
  if (!proc::is_alive(entry.who) || !has_put_away(entry.who)) return false;
  return !takes || !proc::descriptor_is_nonblocking(entry.who.pid, read_end_);
}

void UnseenCalls::forget_idle(core::Instant now) {
  for (auto* list : {&takers_, &givers_}) {
    std::erase_if(*list, [&](const Announced& entry) {
      return now - entry.since > kUnderWay && has_put_away(entry.who);
    });
  }
}

std::vector<core::ProcessId> UnseenCalls::suspects(int drift,
                                                   const std::vector<core::ProcessId>& named) {
  auto& list = drift < 0 ? takers_ : givers_;
  const auto tokens = static_cast<std::size_t>(std::abs(drift));
  std::vector<core::ProcessId> found = named;
  if (found.empty()) {
    std::vector<core::ProcessId> all;
    for (const auto& entry : list) {
      all.push_back(entry.who);
      if (must_have(entry, drift < 0)) found.push_back(entry.who);
    }
    for (const auto& entry : reading_) {
      if (drift > 0 || std::find(found.begin(), found.end(), entry.who) != found.end()) continue;
      all.push_back(entry.who);
      found.push_back(entry.who);
    }
    if (found.empty() || found.size() > tokens) found = std::move(all);
  }
  if (found.size() <= tokens) {
    for (const auto& who : found) {
      erase(&list, who);
      if (drift < 0) std::erase_if(reading_, [&](const auto& entry) { return entry.who == who; });
    }
  }
  return found;
}

}  // namespace tokenpool::host
