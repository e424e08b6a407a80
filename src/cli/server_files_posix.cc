#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/server_files.h"
#include "wire/protocol.h"

namespace tokenpool::cli {
namespace {

tl::unexpected<wire::Error> refuse_file(const std::string& path, const std::string& why) {
  return tl::make_unexpected(wire::Error{1, "the cookie file " + path + " " + why});
}

/// Of the file that is open, because a path may name another one a moment later.
std::string objection(int fd) {
  struct stat info{};
  if (fstat(fd, &info) != 0) return std::string("cannot be read: ") + std::strerror(errno);
  if (!S_ISREG(info.st_mode)) return "is no regular file: give the one that the server wrote";
  if (info.st_uid != geteuid() && info.st_uid != 0) {
    return "belongs to user " + std::to_string(info.st_uid) +
           ", who could have put anything there: use one of your own";
  }
  if ((info.st_mode & 077) != 0) {
    return "is open to others, so its secret is none: chmod 600 it, and have the server make a new "
           "one";
  }
  return {};
}

}  // namespace

wire::Result<std::optional<std::string>> read_cookie_file(const std::string& path) {
  // What waits at a FIFO's other end is not waited for.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) return std::optional<std::string>();
  if (fd < 0) {
    return refuse_file(path, std::string("cannot be read: ") + std::strerror(errno) +
                                 "; use a server of your own");
  }
  const std::string why = objection(fd);
  std::array<char, wire::kCookieDigits + 3> bytes{};
  const ssize_t got = why.empty() ? read(fd, bytes.data(), bytes.size()) : 0;
  close(fd);
  if (!why.empty()) return refuse_file(path, why);
  std::string cookie(bytes.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  while (cookie.ends_with('\n') || cookie.ends_with('\r')) cookie.pop_back();
  if (!wire::is_cookie(cookie)) {
    return refuse_file(path, "holds no cookie, which is 64 hexadecimal digits");
  }
  return std::optional<std::string>(std::move(cookie));
}

std::string why_nobody_answers(const std::string& address) {
  const std::size_t at = address.find("unix:/");
  if (at == std::string::npos) return {};
  const std::string rest = address.substr(at + 5);
  const std::string path = rest.substr(0, rest.find(';'));
  struct stat info{};
  if (stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return " (there is no such socket)";
    if (errno == EACCES) return " (it is in a folder of another user)";
    return {};
  }
  if (!S_ISSOCK(info.st_mode)) return " (it is no socket)";
  if (info.st_uid != geteuid() && geteuid() != 0) {
    return " (it belongs to user " + std::to_string(info.st_uid) + ")";
  }
  return " (its server has ended)";
}

}  // namespace tokenpool::cli
