#include "host/conservation.h"

#include <cstdlib>
#include <utility>

#include "host/clock.h"

namespace tokenpool::host {
Conservation::Conservation(const jobserver::Fifo& fifo, std::array<int, 2> ends, bool tracked,
                           Books books)
    : fifo_(fifo),
      ends_(ends),
      tracked_(tracked),
      books_(std::move(books)),
      watch_(tracked ? fifo.path() : std::string()),
      unseen_(fifo.id(), ends[0]) {}

void Conservation::settle() {
  if (!tracked_) return;
  const int drift = books_.pool->drift(fifo_.level());
  explain(drift, drift != 0 ? watch_.collect() : jobserver::FifoTouches());
}

void Conservation::clear_watch() {
  if (!tracked_) return;
  const auto touches = watch_.collect();
  if (!touches.accessed.empty() || !touches.opened.empty() || !watch_.names_processes()) {
    explain(books_.pool->drift(fifo_.level()), touches);
  }
}

void Conservation::explain(int drift, const jobserver::FifoTouches& touches) {
  // By the time that it has read, it may have ended.
  for (const pid_t pid : touches.opened) (void)books_.kin->adopt(pid);
  std::vector<core::ProcessId> named;
  for (const pid_t pid : touches.accessed) {
    if (const auto id = books_.kin->adopt(pid)) named.push_back(*id);
  }
  if (drift == 0) {
    unseen_.forget_idle(now());
    return;
  }
  auto suspects = unseen_.suspects(drift, named);
  const bool certain = !suspects.empty();
  if (!certain) suspects = books_.kin->likely_callers(fifo_.id(), ends_);
  for (const auto& who : suspects) {
    if (drift < 0) books_.watched->look_again(who);
  }
  if (certain && static_cast<int>(suspects.size()) == std::abs(drift)) {
    // One call each: nobody is suspected, all are known.
    const int call = drift < 0 ? -1 : 1;
    for (const auto& who : suspects) {
      books_.pool->unseen(call, {&who, 1}, true, now(), books_.effects);
    }
  } else {
    books_.pool->unseen(drift, suspects, certain, now(), books_.effects);
  }
  books_.apply();
}

}  // namespace tokenpool::host
