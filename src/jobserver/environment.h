// The environment of a build: how every tool in it learns of the pool.
//
// What is set and why (each measured with the tools named):
//   MAKEFLAGS         others' flags, then the pool's words. Names the FIFO; where the make on PATH
//                     is older than 4.4, which stops at a FIFO, also the descriptors
//                     (Dialect::both).
//   CARGO_MAKEFLAGS   hides MAKEFLAGS from cargo and rustc where it is set, and does not pass
//                     through make, which in a plain recipe closes the descriptors: so it is set
//                     too, and names the FIFO, and before it the descriptors for a cargo that knows
//                     no FIFO (Dialect::cargo). Without shims and with a make older than 4.4 it
//                     names the descriptors alone: build scripts do `MAKEFLAGS=$CARGO_MAKEFLAGS
//                     make`, and what cargo hands them is of the form that it found.
//   CTEST_PARALLEL_LEVEL=0      ctest >= 3.29 is limited by tokens only; to an older one 0 means 1.
//   CMAKE_BUILD_PARALLEL_LEVEL  taken away: cmake --build would hand a -j to make, and a build
//   calls
//                     cmake past its shim, too. Where there are shims its value is kept in
//                     TOKENPOOL_CMAKE_LEVEL, for tools that are no clients.
//   GNUMAKEFLAGS, MFLAGS        kept without jobserver and -j; taken away.
//   PATH              the shims first.
//   TOKENPOOL_ADDR, _COOKIE   how clients of the protocol find the arbiter; TOKENPOOL_LEASE, of an
//                     outer one, is taken away.
//   TOKENPOOL_WRAP    the folder of --wrap, which is on PATH behind the shims. One of an outer run
//                     stays: compilers below this run obey this pool then.
//   CCACHE_PATH       with --wrap, unless it is set: PATH without shims, where ccache looks for the
//                     compiler; it would take a change of our program for one of the compiler, and
//                     not notice one of the compiler. (4.7.5)
//   TOKENPOOL_FIFO, _FDS (R,W), _JOBS, _SHIMS   the pool for the shims and for `tokenpool env`.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dialect/makeflags.h"

namespace tokenpool::jobserver {

struct EnvironmentOptions {
  std::string shims_folder;                      ///< empty: PATH is left alone
  std::optional<dialect::Dialect> make_dialect;  ///< of the make on PATH; empty: there is none
  std::string address{};  ///< of the arbiter's sockets, ';' between them; empty: it has none
  std::string cookie{};
  std::string wrap_folder{};  ///< of shim_folder.h; empty: no shims in front of compilers
  std::string outer_run{};  ///< the run around this one, for people; empty: nothing is known of it
  std::string bsd_shims_folder{};  ///< of shim_folder.h; empty: there is none
};

struct Environment {
  std::vector<std::string> variables;  ///< NAME=VALUE, complete
  std::vector<std::string> notes;      ///< one line each: what the user may not expect
  friend bool operator==(const Environment&, const Environment&) = default;
};

/// `environ`: the current variables, ended by a null pointer; not changed. A jobserver that they
/// name is left alone: this build has a pool of its own, and a note says so. `pool` must be valid
/// (wire::validate, checked).
Environment build_environment(const dialect::Jobserver& pool, const EnvironmentOptions& options,
                              const char* const* environ);

/// Whether `name` is one of the variables above, without PATH.
bool concerns_pool(std::string_view name);

/// Keeps PATH and the variables of `environment` that concern the pool in the folder of `fifo`
/// (mode 0600): for `tokenpool env` in a build that dropped its environment. Where it cannot be
/// written, nothing is kept.
void keep_environment(const std::string& fifo, const std::vector<std::string>& environment);

/// What keep_environment() kept for the run whose FIFO is at the path `fifo`. Empty when there is
/// nothing.
std::vector<std::string> kept_environment(const std::string& fifo);

/// Whether somebody serves the jobserver that `word` names: its FIFO has a reader, or both of its
/// descriptors are open here.
bool is_alive(const dialect::JobserverWord& word);

struct SurroundingPool {
  dialect::Jobserver jobserver;
  std::string shims_folder;  ///< empty: the build has none
  friend bool operator==(const SurroundingPool&, const SurroundingPool&) = default;
};

/// The pool that TOKENPOOL_FIFO, TOKENPOOL_FDS and TOKENPOOL_JOBS name. Where its FIFO cannot be
/// found by its path (a sandbox with a /tmp of its own) but is open on both descriptors, it is
/// named by /proc/self/fd/R, for us and for whoever inherits it. Empty when they are not set or not
/// valid, or when the FIFO is gone, is no FIFO, or has no reader.
std::optional<SurroundingPool> pool_in_environment();

/// Whether `word` names the FIFO of TOKENPOOL_FIFO.
bool names_pool_in_environment(const dialect::JobserverWord& word);

/// Where the shims of this program are: `shims` beside it (build tree), else
/// `../lib/tokenpool/shims` (installed). An absolute path; empty if neither is a folder.
std::string find_shims_folder();

}  // namespace tokenpool::jobserver
