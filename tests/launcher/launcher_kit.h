// An arbiter that does what the test says, and launchers in processes of their own. Every call
// waits; the test's own patience is its limit.
#pragma once

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/check.h"
#include "launcher/launcher.h"
#include "short_folder.h"

namespace tokenpool::launcher {

/// A folder that is removed with what is in it.
class Folder {
 public:
  Folder() {
    std::string path = short_temporary_folder() / "tp-launcher-XXXXXX";
    TOKENPOOL_CHECK(::mkdtemp(path.data()) != nullptr);
    path_ = path;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] std::string path(const std::string& name) const { return path_ + "/" + name; }
  /// A FIFO; opening it for reading waits for a writer, and the other way round.
  [[nodiscard]] std::string fifo(const std::string& name) const {
    TOKENPOOL_CHECK(::mkfifo(path(name).c_str(), 0600) == 0);
    return path(name);
  }

 private:
  std::string path_;
};

/// Listens on a Unix socket, speaks with one client at a time.
class ScriptedArbiter {
 public:
  explicit ScriptedArbiter(const std::string& path) : path_(path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    TOKENPOOL_CHECK(path.size() < sizeof address.sun_path);
    std::memcpy(address.sun_path, path.c_str(), path.size());
    listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    TOKENPOOL_CHECK(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    TOKENPOOL_CHECK(::listen(listener_, 16) == 0);
  }
  ~ScriptedArbiter() {
    close();
    ::close(listener_);
    ::unlink(path_.c_str());
  }
  ScriptedArbiter(const ScriptedArbiter&) = delete;
  ScriptedArbiter& operator=(const ScriptedArbiter&) = delete;

  static const char* cookie() {
    return "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
  }
  [[nodiscard]] std::string address() const { return "unix:" + path_; }
  void accept() {
    close();
    client_ = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    TOKENPOOL_CHECK(client_ >= 0);
  }
  /// The next line, without its newline; "" when the client has closed.
  std::string line() {
    std::size_t end = 0;
    while ((end = text_.find('\n')) == std::string::npos) {
      std::array<char, 4096> bytes{};
      const ssize_t got = ::read(client_, bytes.data(), bytes.size());
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return {};
      text_.append(bytes.data(), static_cast<std::size_t>(got));
    }
    std::string line = text_.substr(0, end);
    text_.erase(0, end + 1);
    return line;
  }
  void send(const std::string& text) {
    const std::string line = text + "\n";
    TOKENPOOL_CHECK(::send(client_, line.data(), line.size(), MSG_NOSIGNAL) ==
                    static_cast<ssize_t>(line.size()));
  }
  void close() {
    if (client_ >= 0) ::close(client_);
    client_ = -1;
    text_.clear();
  }

 private:
  std::string path_;
  int listener_ = -1;
  int client_ = -1;
  std::string text_;
};

struct Outside {
  std::vector<std::pair<std::string, std::string>> environment;  ///< besides PATH
  int error = -1;                                                ///< becomes its stderr
  void (*before)() = nullptr;                                    ///< called in the new process
};

/// launch() in a process of its own; what fails is printed on its stderr.
inline pid_t start_launcher(const LaunchConfig& config, const Outside& outside) {
  std::fflush(nullptr);
  const pid_t pid = ::fork();
  TOKENPOOL_CHECK(pid >= 0);
  if (pid > 0) return pid;
  const std::string path = std::getenv("PATH") != nullptr ? std::getenv("PATH") : "/usr/bin:/bin";
  ::clearenv();
  ::setenv("PATH", path.c_str(), 1);
  for (const auto& [name, value] : outside.environment) ::setenv(name.c_str(), value.c_str(), 1);
  if (outside.error >= 0) ::dup2(outside.error, STDERR_FILENO);
  if (outside.before != nullptr) outside.before();
  const auto status = launch(config);
  if (!status) std::fprintf(stderr, "%s\n", status.error().sentence.c_str());
  ::_exit(status ? *status : status.error().status);
}

/// Its wait status; -1: there is no such child.
inline int status_of(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return -1;
  }
  return status;
}

/// All that can be read from the file: for a FIFO until the last writer has closed it.
inline std::string text_of(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  std::string text;
  std::array<char, 4096> bytes{};
  ssize_t got = 0;
  while ((got = ::read(fd, bytes.data(), bytes.size())) > 0) {
    text.append(bytes.data(), static_cast<std::size_t>(got));
  }
  ::close(fd);
  return text;
}

/// Opens a FIFO for writing, which waits for a reader, and closes it.
inline void let_go(const std::string& fifo) { ::close(::open(fifo.c_str(), O_WRONLY | O_CLOEXEC)); }

}  // namespace tokenpool::launcher
