// Who is about to make a call on the FIFO that the tracker does not see, and who probably made one.
//
// A shell that redirects from or to the inherited descriptors is announced by its dup2 (see
// jobserver/seccomp.h), and so is a read that is left to the kernel because nobody may write into
// the reader's memory. When conservation then finds a token gone or come back, it was one of those
// announced. Which one, tells how far each has come: a shell that has read something and put the
// FIFO away again has its token, one that still has it as its standard input may wait for one.
#pragma once

#include <span>
#include <vector>

#include "board/unseen_caller.h"
#include "core/process_id.h"
#include "core/unseen_moves.h"
#include "proc/process.h"

namespace tokenpool::arbiter {

/// One thread, the arbiter's.
class UnseenCalls {
 public:
  /// `read_end`: the number of the inherited descriptor that tokens are read from.
  UnseenCalls(const proc::FileId& fifo, int read_end) : fifo_(fifo), read_end_(read_end) {}

  /// `who`, whose `thread` is stopped in the call that does it, has the FIFO as a standard
  /// descriptor from now on, to take (or else to return) tokens. If it had it before and has put it
  /// away, that call is over and forgotten: what it did has to be settled.
  void expect(core::ProcessId who, pid_t thread, bool takes, core::Instant now);
  /// The kernel carries out a read of `thread` of `who`: it may have taken a token from now on.
  void expect_read(core::ProcessId who, pid_t thread);
  /// `thread` makes another call, so that read is over; what it did is to be settled, and it is
  /// forgotten then.
  void read_is_over(pid_t thread);
  void forget_read(pid_t thread);
  /// `who` has ended, and with success: if it was announced, its call was no failure.
  void succeeded(core::ProcessId who);
  /// `who` has ended and what it did is settled.
  void forget(core::ProcessId who);

  /// All that are announced, oldest first, and how far they have come, but for `suspected`.
  [[nodiscard]] std::vector<core::ExpectedCall> calls(core::Instant now) const;
  /// What core::deduce_moves() says of calls() is done.
  void settle(std::span<const core::Deduction::Fate> fates);

  /// Where the kernel `named` those that took (`drift` < 0) or returned (`drift` > 0) so many
  /// tokens: they did; where it named none, all that were announced may have. Those that are known
  /// for certain are forgotten. Empty: nobody was announced.
  std::vector<core::ProcessId> suspects(int drift, const std::vector<core::ProcessId>& named);
  /// The books are even, and the kernel names who makes them uneven: those that are over did
  /// nothing.
  void forget_idle(core::Instant now);

  /// Everybody announced, in that order: what the next arbiter has to know.
  [[nodiscard]] const std::vector<board::UnseenCaller>& callers() const { return callers_; }
  /// As an arbiter that died had them.
  void restore(std::span<const board::UnseenCaller> callers) {
    callers_.assign(callers.begin(), callers.end());
  }

 private:
  [[nodiscard]] bool has_put_away(core::ProcessId who) const;
  [[nodiscard]] bool has_descriptors(core::ProcessId who) const;
  using Stage = core::ExpectedCall::Stage;
  [[nodiscard]] Stage stage(const board::UnseenCaller& caller, core::Instant now) const;
  [[nodiscard]] static Stage stage_of_read(const board::UnseenCaller& caller);
  [[nodiscard]] Stage stage_of_living(const board::UnseenCaller& caller, core::Instant now) const;

  proc::FileId fifo_;
  int read_end_;
  std::vector<board::UnseenCaller> callers_;
};

}  // namespace tokenpool::arbiter
