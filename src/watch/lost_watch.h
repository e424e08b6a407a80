// Tokens that were lost where nobody's calls are seen (`--track infer`): what is out and cannot be
// held by anybody who lives (control/lost_tokens.h) is made anew; what came back after all is taken
// out again. This class has the eyes.
#pragma once

#include <array>
#include <map>
#include <vector>

#include "control/lost_tokens.h"
#include "proc/process.h"
#include "watch/build_view.h"
#include "watch/verdict.h"

namespace tokenpool::watch {

/// One thread, the arbiter's.
class LostWatch {
 public:
  /// `ends`: the numbers of the FIFO's descriptors that the build inherited.
  LostWatch(const proc::FileId& fifo, const std::array<int, 2>& ends, core::Instant now);

  /// When look() is due: twice a second, four times while tokens seem to be lost.
  [[nodiscard]] core::Instant due() const { return due_; }
  /// Looks; at the processes only while tokens are out. A walk that costs much makes the pause
  /// longer.
  Verdict look(const BuildView& view);

 private:
  /// Takes tokens itself, as far as it can be told without seeing its calls.
  [[nodiscard]] bool is_client(const BuildView& view, const proc::CensusRow& row) const;
  [[nodiscard]] std::vector<control::FamilyMember> family_of(const BuildView& view);
  /// Nobody has waited for it in kZombiePause: nobody is about to return a token for it.
  [[nodiscard]] bool is_forgotten(const proc::CensusRow& row, core::Instant now);

  proc::FileId fifo_;
  std::array<int, 2> ends_;
  control::LostTokens lost_;
  std::map<core::ProcessId, core::Instant> zombies_;  ///< since when they have been seen
  core::Instant due_;
};

}  // namespace tokenpool::watch
