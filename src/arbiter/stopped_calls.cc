#include "arbiter/stopped_calls.h"

namespace tokenpool::arbiter {

void StoppedCalls::add(const StoppedCall& stopped) {
  by_id_[stopped.request.id] = stopped;
  by_thread_[stopped.call.thread] = stopped.request.id;
}

std::optional<StoppedCall> StoppedCalls::take(core::RequestId id) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return std::nullopt;
  const StoppedCall stopped = found->second;
  by_id_.erase(found);
  by_thread_.erase(stopped.call.thread);
  return stopped;
}

std::optional<StoppedCall> StoppedCalls::take_of_thread(pid_t thread) {
  const auto found = by_thread_.find(thread);
  return found == by_thread_.end() ? std::nullopt : take(found->second);
}

void StoppedCalls::forget(core::ProcessId who) {
  std::erase_if(by_thread_,
                [&](const auto& entry) { return by_id_.at(entry.second).request.who == who; });
  std::erase_if(by_id_, [&](const auto& entry) { return entry.second.request.who == who; });
}

}  // namespace tokenpool::arbiter
