// The folder of one run in TMPDIR: its name, what lies in it, and what dead runs have left there.
//
// A FIFO lives as long as a process has it open: opening it for writing without blocking fails with
// ENXIO exactly when nobody reads it (fifo(7)). So that a run which is being set up never looks
// dead, the FIFO gets its final name when it is open already (rename(2)): one that has that name
// and no reader has lost all that ever had it.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace tokenpool::jobserver {

/// All that is ever made in the folder.
inline constexpr std::string_view kFifoName = "fifo";
inline constexpr std::string_view kNewFifoName = "fifo.new";         ///< before it is open
inline constexpr std::string_view kEnvironmentName = "environment";  ///< keep_environment()
inline constexpr std::string_view kSocketName = "socket";            ///< of the protocol
inline constexpr std::string_view kToolsName = "tools";              ///< the shims' notes
/// ... and how the names of the files in `tools` begin.
inline constexpr std::string_view kToolNotes[] = {"version-", "jobs-", "outside-", "level-"};

/// Where the folder of a run may be made: absolute paths without a slash at their ends, the usual
/// one first.
struct RunPlaces {
  std::vector<std::string> paths;
  std::string why_not_usual;  ///< TMPDIR is set and is not among them: why; else empty
};

/// TMPDIR, as for make, but absolute, since clients look for the FIFO from other folders; then
/// /tmp, XDG_RUNTIME_DIR and /dev/shm. Clients split MAKEFLAGS at blanks and read backslashes and
/// quotes, so one with such characters is left out.
RunPlaces run_places();

/// The first of them that looks as if folders could be made in it.
std::string usual_run_place();

/// The names in `folder` that new_run_name() has given in this boot, to what is this user's; within
/// the limits of remove_dead_runs().
std::vector<std::string> run_names(const std::string& folder);

/// The folders in `parent` that runs of this user and this boot have made, dead or alive, within
/// the limits of remove_dead_runs().
std::vector<std::string> run_folders(const std::string& parent);

/// A name that nobody has: "tokenpool-", eight digits that name this boot of this kernel, a dash
/// and eight random letters. Another machine may see the same TMPDIR, but not who has a FIFO open
/// here: the digits tell whose folder it is. Without them where the kernel does not tell its boot.
std::string new_run_name();

/// Removes from `parent` the folders of runs of this user and this boot that are dead: their FIFO
/// has no reader, or they have had none for kMaxSetup. The one called `own` is not looked at.
/// `may_go` is asked for each by its name; where it says no, the folder stays. A folder that holds
/// anything else than the names above, each of its kind and with one name, stays as it is; symbolic
/// links are not followed. Looks at kMaxSweptEntries names and kMaxSweptRuns folders at
/// most. Never blocks; what fails is left for the next run.
void remove_dead_runs(const std::string& parent, const std::string& own,
                      const std::function<bool(const std::string& name)>& may_go);

}  // namespace tokenpool::jobserver
