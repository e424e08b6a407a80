// MAKEFLAGS: what the value says about a jobserver, and how to say the same of ours to each client.
//
// Every client of a GNU make jobserver learns of it from words in MAKEFLAGS, but no form suits all:
// GNU make up to 4.3 stops with an error at `fifo:`, ninja 1.13 takes nothing else, GNU make up to
// 4.1 knows only --jobserver-fds and wants a -j without a number. Hence the dialects.
//
// Pure. Any text is accepted: what cannot be understood is kept as it is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wire/error.h"

namespace tokenpool::dialect {

/// A jobserver as its clients find it: one FIFO, and two inherited descriptors of it.
struct Jobserver {
  std::string fifo;   ///< absolute path of [A-Za-z0-9_./-]: clients split the value in several ways
  int read_fd = -1;   ///< open for reading, > 2 (gcc and redo refuse 0) and < 1024 (make's FD_SET)
  int write_fd = -1;  ///< open for writing, same bounds
  int slots = 1;      ///< 1..core::kMaxSlots; the tokens and the implicit slot
  friend bool operator==(const Jobserver&, const Jobserver&) = default;
};

/// Fails with one sentence if a field is outside of its bounds. It does not look at the machine.
wire::Result<void> validate(const Jobserver& jobserver);

enum class Dialect : std::uint8_t {
  fifo,  ///< ` -jN --jobserver-auth=fifo:P`: make >= 4.4, ninja >= 1.13, cargo, ctest, gcc >= 13
  fds_auth,  ///< ` -jN --jobserver-auth=R,W`: make 4.2 and 4.3, Kitware's ninja, gcc <= 12
  fds_old,   ///< ` -j --jobserver-fds=R,W`: make <= 4.1, where a number would mean "leave the pool"
  both,      ///< ` -j --jobserver-auth=fifo:P --jobserver-f=R,W`: every make takes the abbreviation
             ///< and with it R,W (the last word wins); all others know only the full word, the path
  cargo,     ///< ` -j --jobserver-fds=R,W --jobserver-auth=fifo:P`, in CARGO_MAKEFLAGS: cargo and
             ///< rustc before 1.78 look for -fds first, of which those before 1.70 know descriptors
             ///< only; later ones for the last -auth (measured with 1.63 and 1.95)
};
std::string_view to_string(Dialect dialect);

/// One --jobserver-auth, --jobserver-fds or abbreviation of them.
struct JobserverWord {
  enum class Form : std::uint8_t {
    fifo,         ///< `path` is set
    descriptors,  ///< `read_fd` and `write_fd` are set
    negative,     ///< make's own mark for "there is a jobserver, but not for you"
    semaphore,    ///< `path` is the name of a Windows semaphore
    invalid,
  };
  Form form = Form::invalid;
  std::string text;  ///< the whole word, NAME=VALUE
  std::string path;
  int read_fd = -1;
  int write_fd = -1;
  friend bool operator==(const JobserverWord&, const JobserverWord&) = default;
};

struct Makeflags {
  std::vector<std::string> options;   ///< other words, as written; the first may be bare letters
  std::vector<std::string> operands;  ///< `--` and the words after it, as written
  std::vector<JobserverWord> jobservers;  ///< in order; for make the last one counts
  std::optional<unsigned> jobs;           ///< of the last -j; 0: without a number
  friend bool operator==(const Makeflags&, const Makeflags&) = default;

  /// A make above us was told -j1, so everything below it is to run one job after the other.
  [[nodiscard]] bool serial() const { return jobs == 1u && jobservers.empty(); }
};

Makeflags parse_makeflags(std::string_view value);

/// The value with the words of `jobserver` in place of whatever jobserver and -j was in it. Begins
/// with a space or with letters, as every client wants. `jobserver` must be valid (checked).
std::string compose_makeflags(const Makeflags& flags, const Jobserver& jobserver, Dialect dialect);

/// The value without any jobserver or -j; empty if there was nothing else.
std::string compose_makeflags(const Makeflags& flags);

}  // namespace tokenpool::dialect
