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
  const int drift = books_.pool->drift(fifo_.level());
  explain(drift, drift != 0 ? watch_.collect() : std::vector<pid_t>());
}

void Conservation::clear_watch() {
  const auto touched = watch_.collect();
  if (!touched.empty() || !watch_.names_processes()) {
    explain(books_.pool->drift(fifo_.level()), touched);
  }
}

void Conservation::explain(int drift, const std::vector<pid_t>& touched) {
  if (!tracked_) return;
  if (drift == 0) {
    unseen_.forget_idle(now());
    return;
  }
  std::vector<core::ProcessId> named;
  for (const pid_t pid : touched) {
    if (const auto id = books_.kin->adopt(pid)) named.push_back(*id);
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
