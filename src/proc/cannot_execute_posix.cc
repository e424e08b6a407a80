#include <cerrno>
#include <cstring>

#include <sys/stat.h>

#include "proc/cannot_execute.h"

namespace tokenpool::proc {

wire::Error cannot_execute(const std::string& name, int error) {
  const bool with_path = name.find('/') != std::string::npos;
  struct stat status{};
  std::string why = std::strerror(error);
  std::string advice = "check the name";
  const bool has_blank = name.find(' ') != std::string::npos;
  if (error == ENOENT) {
    if (has_blank && ::stat(name.c_str(), &status) != 0) {
      why = "there is no program of that name";
      advice =
          "give a command's words one by one, not in one pair of quotes, or to a shell: sh -c '" +
          name + "'";
    } else if (!with_path && name.find('=') != std::string::npos) {
      why = "it is not on PATH";
      advice = "to set a variable, put env in front: env " + name + " ...";
    } else if (!with_path) {
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
  const std::string shown = has_blank ? "'" + name + "'" : name;
  return {error == ENOENT ? 127 : 126, "cannot run " + shown + ": " + why + "; " + advice};
}

}  // namespace tokenpool::proc
