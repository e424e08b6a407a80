// Who is about to make a call on the FIFO that the tracker does not see, and who probably made one.
//
// A shell that redirects from or to the inherited descriptors is announced by its dup2 (see
// jobserver/seccomp.h), and so is a read that is left to the kernel because nobody may write into
// the reader's memory. When conservation then finds a token gone or come back, it was one of those
// announced; mostly there is just one.
#pragma once

#include <vector>

#include "core/pool.h"
#include "proc/process.h"

namespace tokenpool::host {

/// One thread, the arbiter's.
class UnseenCalls {
 public:
  /// `read_end`: the number of the inherited descriptor that tokens are read from.
  UnseenCalls(const proc::FileId& fifo, int read_end) : fifo_(fifo), read_end_(read_end) {}

  /// `who` has the FIFO as a standard descriptor from now on, to take (or else to return) tokens.
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
  /// that the kernel `named`, else those announced that must have done it, if they are not more
  /// than the tokens, else all that were announced. Whoever has put the FIFO away since must have,
  /// but for a read that does not block (make 4.3 makes all of them so): that may have found
  /// nothing. Empty: nobody was announced. Those that are known for certain are forgotten.
  std::vector<core::ProcessId> suspects(int drift, const std::vector<core::ProcessId>& named);

 private:
  struct Announced {
    core::ProcessId who;
    core::Instant since{};
    bool succeeded = false;  ///< and has ended
  };
  struct Reading {
    core::ProcessId who;
    pid_t thread = 0;
  };
  [[nodiscard]] bool has_put_away(core::ProcessId who) const;
  static void erase(std::vector<Announced>* list, core::ProcessId who);

  [[nodiscard]] bool must_have(const Announced& entry, bool takes) const;

  proc::FileId fifo_;
  int read_end_;
  std::vector<Announced> takers_;
  std::vector<Announced> givers_;
  std::vector<Reading> reading_;
};

}  // namespace tokenpool::host
