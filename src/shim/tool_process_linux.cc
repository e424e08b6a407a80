#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include <sys/auxv.h>
#include <unistd.h>

#include "shim/tool_process.h"
#include "wire/plain_text.h"

namespace tokenpool::shim {
namespace {

// More shims than this in one process, without a fork between, only happen when those of several
// installations find each other.
constexpr int kMostHops = 8;

}  // namespace

void say_as_shim(const std::string& text) {
  const std::string line = "tokenpool: " + wire::clean_line(text) + "\n";
  // A closed stderr is nothing to mend.
  [[maybe_unused]] const ssize_t written = write(2, line.data(), line.size());
}

// Executing does not change the pid, so a second shim under the same pid was executed by the first.
// make executes itself again after it has remade a makefile and says so in MAKE_RESTARTS.
bool goes_in_a_circle() {
  if (std::getenv("MAKE_RESTARTS") != nullptr) return false;
  const std::string pid = std::to_string(getpid()) + ":";
  const char* value = std::getenv("TOKENPOOL_SHIM_HOPS");
  const std::string_view before = value == nullptr ? "" : value;
  int hops = 0;
  if (before.starts_with(pid)) hops = std::atoi(before.data() + pid.size());
  setenv("TOKENPOOL_SHIM_HOPS", (pid + std::to_string(hops + 1)).c_str(), 1);
  return hops >= kMostHops;
}

std::string executed_path() {
  const auto* path = reinterpret_cast<const char*>(getauxval(AT_EXECFN));
  return path == nullptr ? "" : path;
}

int become_tool(const std::string& path, const std::string& argv0,
                const std::vector<std::string>& args) {
  std::vector<std::string> words = {argv0};
  words.insert(words.end(), args.begin(), args.end());
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  execv(path.c_str(), argv.data());
  say_as_shim("cannot run '" + path + "': " + std::strerror(errno) + "; check that installation");
  return errno == ENOENT ? 127 : 126;
}

}  // namespace tokenpool::shim
