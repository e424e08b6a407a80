// The reads that wait for a token, by their request and by their thread.
#pragma once

#include <optional>
#include <unordered_map>

#include <sys/types.h>

#include "core/effect.h"
#include "jobserver/seccomp.h"

namespace tokenpool::arbiter {

struct StoppedCall {
  jobserver::Notification call;
  core::Request request;
};

/// One thread, the arbiter's. A thread makes one call at a time.
class StoppedCalls {
 public:
  /// `stopped.request.id` is the call's. A thread that is known already must be taken off before.
  void add(const StoppedCall& stopped);
  [[nodiscard]] bool contains(core::RequestId id) const { return by_id_.contains(id); }
  /// Of one that is there.
  [[nodiscard]] const StoppedCall& at(core::RequestId id) const { return by_id_.at(id); }
  /// Takes it off the list. Nothing when it is not there.
  std::optional<StoppedCall> take(core::RequestId id);
  std::optional<StoppedCall> take_of_thread(pid_t thread);
  /// `who` has ended.
  void forget(core::ProcessId who);

 private:
  std::unordered_map<core::RequestId, StoppedCall> by_id_;
  std::unordered_map<pid_t, core::RequestId> by_thread_;
};

}  // namespace tokenpool::arbiter
