#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proc/written_file.h"

namespace tokenpool::proc {
namespace {

// A pipe, a terminal or a device is written to, never replaced; neither is what /dev and /proc
// name, which may be somebody's open file.
bool is_written_in_place(const std::string& path) {
  struct stat status{};
  if (path.starts_with("/dev/") || path.starts_with("/proc/")) return true;
  return ::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode);
}

// The file that a symbolic link leads to, there or not, so that the link stays one. Links that lead
// in a circle are answered as they are: opening that fails.
std::string target_of(const std::string& path) {
  namespace fs = std::filesystem;
  constexpr int kMostLinks = 40;  // as the kernel follows
  std::error_code none;
  fs::path at = path;
  for (int i = 0; i < kMostLinks && fs::is_symlink(fs::symlink_status(at, none)); ++i) {
    at = at.parent_path() / fs::read_symlink(at, none);
  }
  return at.string();
}

bool write_all(int fd, const std::string& text) {
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = ::write(fd, text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) break;
    done += static_cast<std::size_t>(n);
  }
  return ::close(fd) == 0 && done == text.size();
}

std::string temporary_name(const std::string& path) {
  return path + ".tmp" + std::to_string(::getpid());
}

}  // namespace

bool write_file(const std::string& path, const std::string& text) {
  if (is_written_in_place(path)) {
    // A FIFO that nobody reads is not waited for (ENXIO); who reads it may take his time.
    const int fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd >= 0) ::fcntl(fd, F_SETFL, O_APPEND);
    return fd >= 0 && write_all(fd, text);
  }
  const std::string target = target_of(path);
  const std::string temporary = temporary_name(target);
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return false;
  if (write_all(fd, text) && std::rename(temporary.c_str(), target.c_str()) == 0) return true;
  const int error = errno;
  ::unlink(temporary.c_str());
  errno = error;
  return false;
}

bool may_write_file(const std::string& path) {
  struct stat status{};
  if (is_written_in_place(path)) return ::access(path.c_str(), W_OK) == 0;
  const bool is_there = ::stat(path.c_str(), &status) == 0;
  if (is_there && S_ISDIR(status.st_mode)) errno = EISDIR;
  if ((is_there && S_ISDIR(status.st_mode)) || (!is_there && errno == ELOOP)) return false;
  const std::string temporary = temporary_name(target_of(path));
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  ::close(fd);
  ::unlink(temporary.c_str());
  return true;
}

}  // namespace tokenpool::proc
