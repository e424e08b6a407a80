// Who is about to make a call on the FIFO that the tracker does not see, and who probably made one.
//
// A shell that redirects from or to the inherited descriptors is announced by its dup2 (see
// jobserver/seccomp.h), and so is a read that is left to the kernel because nobody may write into
// the reader's memory. When conservation then finds a token gone or come back, it was one of those
// announced; mostly there is just one.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/pool.h"
#include "proc/process.h"

namespace tokenpool::host {

/// Somebody who was announced.
struct UnseenCaller {
  enum class Call : std::uint8_t {
    take,  ///< on a standard descriptor
    give,  ///< on a standard descriptor
    read   ///< left to the kernel
  };
  core::ProcessId who;
  Call call = Call::take;
  bool succeeded = false;  ///< and has ended
  pid_t thread = 0;        ///< of a read
  core::Instant since{};   ///< of a take or give
  friend bool operator==(const UnseenCaller&, const UnseenCaller&) = default;
};

/// One thread, the arbiter's.
class UnseenCalls {
 public:
  /// `read_end`: the number of the inherited descriptor that tokens are read from.
  UnseenCalls(const proc::FileId& fifo, int read_end) : fifo_(fifo), read_end_(read_end) {}

  /// `who` has the FIFO as a standard descriptor from now on, to take (or else to return) tokens.
  /// If it had it before and has put it away, that call is over and forgotten: what it did has to
  /// be settled.
  void expect(core::ProcessId who, bool takes, core::Instant now);
  /// The kernel carries out a read of `thread` of `who`: it may have taken a token from now on.
  void expect_read(core::ProcessId who, pid_t thread);
  /// `thread` makes another call, so that read is over, and what it did is settled.
  void forget_read(pid_t thread);
  /// `who` has ended, and with success: if it was announced, its call was no failure.
  void succeeded(core::ProcessId who);
  /// `who` has ended and what it did is settled.
  void forget(core::ProcessId who);
  /// The books are even: those that have put the FIFO away again did nothing.
  void forget_idle(core::Instant now);

  /// Who may have taken (`drift` < 0) or returned (`drift` > 0) that many tokens: the processes
  /// that the kernel `named`, else those announced that must have done it, if they are as many as
  /// the tokens, else all that were announced. Whoever has put the FIFO away since must have, but
  /// for a read that does not block (make 4.3 makes all of them so): that may have found nothing.
  /// Empty: nobody was announced. Those that are known for certain are forgotten.
  std::vector<core::ProcessId> suspects(int drift, const std::vector<core::ProcessId>& named);

  /// Everybody announced, in that order: what the next arbiter has to know.
  [[nodiscard]] const std::vector<UnseenCaller>& callers() const { return callers_; }
  /// As an arbiter that died had them.
  void restore(std::span<const UnseenCaller> callers) {
    callers_.assign(callers.begin(), callers.end());
  }

 private:
  [[nodiscard]] bool has_put_away(core::ProcessId who) const;
  [[nodiscard]] bool must_have(const UnseenCaller& caller) const;

  proc::FileId fifo_;
  int read_end_;
  std::vector<UnseenCaller> callers_;
};

}  // namespace tokenpool::host
