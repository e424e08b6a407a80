// Folders of shims that are made, not installed: links to this program under the names of tools.
//
// For `run --wrap`, the compilers and linkers that there are. Only names that are on PATH behind it
// may be in it: configure scripts take what they find. Which those are depends on the machine and
// on --wrap, so it cannot be installed; and it cannot lie in the run's folder either, for CMake and
// others remember the path of the compiler that they found, and build by it when the run is long
// over. Nor in a cache, which may be emptied at any time. So it is among the user's data, one
// folder for each set of names and program: $XDG_DATA_HOME/tokenpool/wrap/ID, by default below
// ~/.local/share, and root's below /var/lib, which all may enter. What is in it is never changed,
// so that runs at the same time do not disturb each other, and stays.
//
// For every run, beside it in shims/ID, where no folder of shims is installed beside the program,
// and for a BSD make, which has a shim only where there is one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "dialect/wrapped_tool.h"
#include "wire/error.h"

namespace tokenpool::jobserver {

struct WrapFolder {
  std::string path;                  ///< absolute
  std::vector<std::string> missing;  ///< names that --wrap named and that are not on PATH
};

/// Makes the folder for what `names` finds on `search_path`, or finds it as an earlier run has made
/// it; what was deleted from it is made again. Error 125 where that is impossible; no link is left
/// half made.
wire::Result<WrapFolder> make_wrap_folder(const dialect::WrapNames& names,
                                          const std::string& search_path);

/// The folder of the shims of make, ninja and their like: the installed one, or one that is made.
/// Empty where neither is to be had.
std::string make_shims_folder();

/// The same for the BSD makes on `search_path`; empty also where there is none.
std::string make_bsd_shims_folder(const std::string& search_path);

/// Whether a program that was executed by this path lies in such a folder.
bool is_in_wrap_folder(std::string_view path);

}  // namespace tokenpool::jobserver
