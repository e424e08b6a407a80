#include <algorithm>
#include <array>
#include <cerrno>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proc/file.h"

namespace tokenpool::proc {
namespace {

// The file may grow or shrink while it is read.
bool read_all(int fd, std::string* text) {
  std::size_t got = 0;
  while (got < text->size()) {
    const ssize_t now = read(fd, text->data() + got, text->size() - got);
    if (now < 0 && errno == EINTR) continue;
    if (now < 0) return false;
    if (now == 0) break;
    got += static_cast<std::size_t>(now);
  }
  text->resize(got);
  return true;
}

std::string owned_by_another(const struct stat& info, uid_t user) {
  if (info.st_uid == user || info.st_uid == 0) return {};
  return "it belongs to user " + std::to_string(info.st_uid) + ", neither to you nor to root";
}

std::string why_not_trusted(const struct stat& info, uid_t user, std::size_t most) {
  if (!S_ISREG(info.st_mode)) return "it is no regular file";
  if (auto why = owned_by_another(info, user); !why.empty()) return why;
  if ((info.st_mode & S_IWOTH) != 0) return "everybody may write to it";
  if (static_cast<std::size_t>(info.st_size) > most) {
    return "it has more than " + std::to_string(most) + " bytes";
  }
  return {};
}

}  // namespace

std::optional<std::string> read_start(const std::string& path, std::size_t most) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return std::nullopt;
  struct stat info{};
  std::optional<std::string> text;
  if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
    text.emplace(std::min(most, static_cast<std::size_t>(info.st_size)), '\0');
    if (!read_all(fd, &*text)) text.reset();
  }
  close(fd);
  return text;
}

TrustedText read_trusted(const std::string& path, uid_t user, std::size_t most) {
  TrustedText answer;
  struct stat link{};
  if (lstat(path.c_str(), &link) != 0) return answer;
  answer.is_there = true;
  answer.why_not = owned_by_another(link, user);
  if (!answer.why_not.empty()) return answer;
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  struct stat info{};
  if (fd < 0 || fstat(fd, &info) != 0) {
    answer.why_not = std::string("it cannot be read: ") + std::strerror(errno);
  } else {
    answer.why_not = why_not_trusted(info, user, most);
  }
  if (answer.why_not.empty()) {
    answer.text.resize(static_cast<std::size_t>(info.st_size));
    if (!read_all(fd, &answer.text)) answer.why_not = "it cannot be read";
  }
  if (fd >= 0) close(fd);
  return answer;
}

void replace_file(const std::string& path, const std::string& text) {
  const std::string temporary = path + ".new-" + std::to_string(::getpid());
  ::unlink(temporary.c_str());
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return;
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(fd);
  if (!written || ::rename(temporary.c_str(), path.c_str()) != 0) ::unlink(temporary.c_str());
}

std::string hashed_name(std::string_view text) {
  std::uint64_t hash = 14695981039346656037U;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
  std::array<char, 24> digits{};
  std::snprintf(digits.data(), digits.size(), "%016" PRIx64, hash);
  return digits.data();
}

}  // namespace tokenpool::proc
