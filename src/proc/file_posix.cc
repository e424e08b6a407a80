#include <algorithm>
#include <cerrno>

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

}  // namespace tokenpool::proc
