// Where tests make folders for sockets.
#pragma once

#include <filesystem>

namespace tokenpool {

/// The folder for temporary files, if the path of a socket below it fits into an address (107
/// bytes, unix(7)); else /tmp.
inline std::filesystem::path short_temporary_folder() {
  std::filesystem::path folder = std::filesystem::temp_directory_path();
  return folder.native().size() > 40 ? "/tmp" : folder;
}

}  // namespace tokenpool
