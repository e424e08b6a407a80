#include <cstdlib>
#include <fstream>

#include <unistd.h>

#include "proc/environ.h"

namespace tokenpool::proc {

std::vector<std::string> initial_environment(pid_t pid) {
  std::vector<std::string> variables;
  std::ifstream file("/proc/" + std::to_string(pid) + "/environ", std::ios::binary);
  for (std::string one; std::getline(file, one, '\0');) {
    if (!one.empty()) variables.push_back(one);
  }
  return variables;
}

std::vector<std::string> own_environment() {
  std::vector<std::string> variables;
  for (char** one = environ; one != nullptr && *one != nullptr; ++one) variables.emplace_back(*one);
  return variables;
}

std::string_view own_variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace tokenpool::proc
