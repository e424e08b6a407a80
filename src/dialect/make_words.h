// GNU make's option grammar, as far as it must be known to find -j and the jobserver words in it.
//
// One scanner serves make's command line and the value of MAKEFLAGS, which make reads with the same
// getopt table (seen with GNU make 4.3 and 4.4.1): -jN, -j N where N is a whole number, --jobs[=N],
// --jobs N, and -j inside a cluster (-kj4), but neither behind an option that takes a value nor
// after `--`.
//
// Pure. Any text is accepted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tokenpool::dialect {

enum class MakeSource : std::uint8_t {
  command_line,  ///< a -j that make would refuse (-j0, -jx) stays, so that make can say so
  makeflags,     ///< the first word may be letters without a dash; every -j and --jobserver-* goes,
                 ///< and so does a last option that lacks its value: make refuses it, and it
                 ///< would swallow a word that is added
};

struct MakeScan {
  std::vector<std::string> options;     ///< kept words before `--`, as they were written
  std::vector<std::string> operands;    ///< `--` and the kept words after it
  std::vector<std::string> removed;     ///< each -j as it was written, with its number
  std::vector<std::string> jobservers;  ///< makeflags only: each word as NAME=VALUE, unescaped
  std::optional<unsigned> jobs;         ///< of the last -j, which wins; 0: no number, unlimited
  bool first_kept = false;              ///< options[0] is what is left of the first word
  friend bool operator==(const MakeScan&, const MakeScan&) = default;
};

/// `words`: the words as make sees them. `written`: the same words as they are to be kept (escaped,
/// for MAKEFLAGS); same size.
MakeScan scan_make_words(std::span<const std::string> words, std::span<const std::string> written,
                         MakeSource source);

/// Decimal digits only, nothing else; values beyond one million count as one million.
std::optional<unsigned> whole_number(std::string_view text);

}  // namespace tokenpool::dialect
