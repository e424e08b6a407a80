#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proc/process.h"
#include "proc/tool.h"

extern char** environ;

namespace tokenpool::proc {
namespace {

constexpr std::size_t kMostOutput = 4096;
constexpr std::chrono::seconds kPatience{5};

FileId id_of(const struct stat& info) { return {info.st_dev, info.st_ino}; }

bool is_shim(const std::string& file, const struct stat& info) {
  if (id_of(info) == own_program()) return true;
  std::array<char, PATH_MAX> real{};
  if (realpath(file.c_str(), real.data()) == nullptr) return false;
  const std::string_view path = real.data();
  return path.substr(path.find_last_of('/') + 1) == "tokenpool";
}

bool is_real_tool(const std::string& file) {
  struct stat info{};
  return stat(file.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
         access(file.c_str(), X_OK) == 0 && !is_shim(file, info);
}

std::vector<std::string> folders_of(std::string_view path) {
  std::vector<std::string> folders;
  while (true) {
    const std::size_t colon = path.find(':');
    const std::string_view entry = path.substr(0, colon);
    folders.emplace_back(entry.empty() ? "." : entry);
    if (colon == std::string_view::npos) return folders;
    path.remove_prefix(colon + 1);
  }
}

wire::Error failure(const std::string& tool, const std::string& why) {
  return {125, "asked '" + tool + " --version': " + why + "; check that installation"};
}

struct Child {
  pid_t pid = -1;
  int output = -1;
};

std::vector<char*> environment_without_makeflags() {
  std::vector<char*> kept;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view name(*entry, std::strcspn(*entry, "="));
    if (name != "MAKEFLAGS" && name != "GNUMAKEFLAGS" && name != "MFLAGS" && name != "MAKELEVEL") {
      kept.push_back(*entry);
    }
  }
  kept.push_back(nullptr);
  return kept;
}

wire::Result<Child> start(const std::string& tool) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) {
    return tl::unexpected(failure(tool, std::string("no pipe: ") + std::strerror(errno)));
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  std::string name = tool;
  std::string option = "--version";
  std::array<char*, 3> argv = {name.data(), option.data(), nullptr};
  std::vector<char*> variables = environment_without_makeflags();
  Child child;
  child.output = ends[0];
  const int error =
      posix_spawn(&child.pid, tool.c_str(), &actions, nullptr, argv.data(), variables.data());
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  if (error == 0) return child;
  close(ends[0]);
  return tl::unexpected(failure(tool, std::strerror(error)));
}

// Reads to the end of the output. False: the time is over. Output beyond the limit is dropped
// rather than refused, lest the tool die of a closed pipe.
bool read_output(int fd, std::string* output) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  std::array<char, kMostOutput> buffer{};
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    pollfd waiting{fd, POLLIN, 0};
    const int ready = poll(&waiting, 1, static_cast<int>(left.count()));
    if (ready < 0 && errno != EINTR) return false;
    if (ready <= 0) continue;
    const ssize_t got = read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return true;
    output->append(buffer.data(), std::min(static_cast<std::size_t>(got),
                                           kMostOutput - std::min(kMostOutput, output->size())));
  }
}

}  // namespace

std::optional<std::string> find_tool(std::string_view name, std::string_view path,
                                     const std::string& own_folder) {
  if (name.find('/') != std::string_view::npos) {
    std::string file(name);
    return is_real_tool(file) ? std::optional(std::move(file)) : std::nullopt;
  }
  struct stat own{};
  const bool has_own = !own_folder.empty() && stat(own_folder.c_str(), &own) == 0;
  std::vector<std::string> in_front;
  std::vector<std::string> behind;
  bool passed = false;
  for (std::string& folder : folders_of(path)) {
    struct stat info{};
    if (has_own && stat(folder.c_str(), &info) == 0 && id_of(own) == id_of(info)) {
      passed = true;
    } else {
      (passed ? behind : in_front).push_back(std::move(folder));
    }
  }
  for (const auto* folders : {&behind, &in_front}) {
    for (const std::string& folder : *folders) {
      std::string file = folder + "/" + std::string(name);
      if (is_real_tool(file)) return file;
    }
  }
  return std::nullopt;
}

std::string search_path() {
  const char* path = std::getenv("PATH");
  return path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin";
}

wire::Result<std::string> tool_version_output(const std::string& tool) {
  const auto child = start(tool);
  if (!child) return tl::unexpected(child.error());
  std::string output;
  const bool ended = read_output(child->output, &output);
  close(child->output);
  if (!ended) kill(child->pid, SIGKILL);
  int status = 0;
  while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!ended) return tl::unexpected(failure(tool, "no answer within 5 s"));
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return tl::unexpected(failure(tool, "it failed"));
  }
  return output;
}

}  // namespace tokenpool::proc
