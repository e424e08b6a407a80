#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "proc/random.h"
#include "proc/served_socket.h"
#include "wire/protocol.h"

namespace tokenpool::proc {
namespace {

tl::unexpected<wire::Error> failed(const std::string& what, const std::string& why,
                                   const std::string& advice) {
  return tl::make_unexpected(wire::Error{125, "cannot " + what + ": " + why + "; " + advice});
}

std::string pid_in(int fd) {
  std::array<char, 16> text{};
  const ssize_t n = ::pread(fd, text.data(), text.size() - 1, 0);
  std::string digits;
  for (ssize_t i = 0; i < n && std::isdigit(static_cast<unsigned char>(text[i])) != 0; ++i) {
    digits += text[static_cast<std::size_t>(i)];
  }
  return digits.empty() ? "unknown" : digits;
}

}  // namespace

ServedSocket::~ServedSocket() {
  if (fd_ >= 0) {
    ::close(fd_);
    ::unlink(path_.c_str());
  }
  if (lock_ >= 0) {
    ::unlink((path_ + ".lock").c_str());
    ::close(lock_);
  }
}

wire::Result<void> ServedSocket::open(const wire::Address& address) {
  path_ = address.path;
  if (auto made = make_private_folder(path_.substr(0, path_.rfind('/'))); !made) return made;
  const std::string lock_path = path_ + ".lock";
  while (true) {
    lock_ = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock_ < 0) {
      return failed("make " + lock_path, std::strerror(errno), "choose another folder");
    }
    if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
      const std::string pid = pid_in(lock_);
      ::close(lock_);
      lock_ = -1;
      return failed("serve " + wire::to_string(address), "process " + pid + " serves it already",
                    "use that one (tokenpool status), or choose another --listen");
    }
    // Whoever had it may have removed the name between the two calls.
    struct stat ours{};
    struct stat named{};
    if (::fstat(lock_, &ours) == 0 && ::stat(lock_path.c_str(), &named) == 0 &&
        ours.st_ino == named.st_ino) {
      break;
    }
    ::close(lock_);
  }
  const std::string pid = std::to_string(::getpid()) + "\n";
  (void)::ftruncate(lock_, 0);
  (void)::pwrite(lock_, pid.data(), pid.size(), 0);
  struct stat status{};
  // Nobody has the lock, so a socket of this name belongs to one that died.
  if (::lstat(path_.c_str(), &status) == 0 && S_ISSOCK(status.st_mode) && !is_served(address)) {
    ::unlink(path_.c_str());
  }
  auto socket = listen_on(address);
  if (!socket) return tl::unexpected(socket.error());
  fd_ = socket->fd;
  return {};
}

wire::Result<std::string> read_or_make_cookie(const std::string& path, bool* was_there) {
  const std::string what = "use the cookie file " + path;
  struct stat named{};
  if (::lstat(path.c_str(), &named) == 0 && !S_ISREG(named.st_mode)) {
    return failed(what, "it is no regular file", "remove it, a new one is made");
  }
  // A FIFO that has come there since is not waited for.
  int fd = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
  *was_there = fd >= 0;
  if (fd >= 0) {
    struct stat status{};
    std::string text(wire::kCookieDigits, '\0');
    const bool known = ::fstat(fd, &status) == 0;
    const ssize_t n = ::read(fd, text.data(), text.size());
    ::close(fd);
    if (!known || status.st_uid != ::geteuid()) {
      return failed(what, "it belongs to another user", "remove it");
    }
    if ((status.st_mode & 077) != 0) {
      return failed(what, "others may read it", "remove it, a new one is made");
    }
    if (n != static_cast<ssize_t>(text.size()) || !wire::is_cookie(text)) {
      return failed(what, "it holds no 64 hexadecimal digits", "remove it, a new one is made");
    }
    return text;
  }
  if (errno != ENOENT) return failed(what, std::strerror(errno), "remove it");
  // Under its own name it is there only when it is whole.
  std::string text = random_digits(wire::kCookieDigits);
  const std::string temporary = path + "." + std::to_string(::getpid());
  fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return failed("make " + temporary, std::strerror(errno), "choose another folder");
  const std::string line = text + "\n";
  const bool written = ::write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  if (::close(fd) != 0 || !written || ::rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary.c_str());
    return failed("write " + path, std::strerror(error),
                  "free some space, or choose another folder");
  }
  return text;
}

}  // namespace tokenpool::proc
