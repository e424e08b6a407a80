#include <cerrno>
#include <cstring>

#include <sys/stat.h>

#include "host/cannot_execute.h"

namespace tokenpool::host {

wire::Error cannot_execute(const std::string& name, int error) {
  const bool with_path = name.find('/') != std::string::npos;
  struct stat status{};
  std::string why = std::strerror(error);
  std::string advice = "check the name";
  if (error == ENOENT) {
    if (!with_path) {
      why = "it is not on PATH";
    } else if (::stat(name.c_str(), &status) == 0) {
      why = "its interpreter does not exist";
      advice = "check its first line (#!)";
    }
  } else if (::stat(name.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) {
    why = "it is a directory";
  } else if (error == EACCES) {
    advice = "make it executable (chmod +x)";
  } else if (error == E2BIG) {
    advice = "give fewer or shorter arguments, or a smaller environment";
  }
  return {error == ENOENT ? 127 : 126, "cannot run " + name + ": " + why + "; " + advice};
}

}  // namespace tokenpool::host
