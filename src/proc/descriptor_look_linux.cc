#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proc/descriptor_look.h"

namespace tokenpool::proc {
namespace {

bool has_news(int watch) {
  int bytes = 0;
  return watch >= 0 && (::ioctl(watch, FIONREAD, &bytes) != 0 || bytes > 0);
}

}  // namespace

DescriptorLook::~DescriptorLook() {
  for (Kept& kept : kept_) drop(&kept);
}

void DescriptorLook::drop(Kept* kept) {
  if (kept->folder >= 0) ::close(kept->folder);
  *kept = {};
}

void DescriptorLook::forget() {
  for (Kept& kept : kept_) kept.others = {};
}

bool DescriptorLook::is(pid_t thread, int fd, const FileId& file, std::chrono::nanoseconds now,
                        int watch) {
  Kept& kept = kept_[static_cast<std::size_t>(thread) % kept_.size()];
  if (kept.thread == thread) {
    for (Other& other : kept.others) {
      if (other.fd != fd || other.left == 0 || now - other.seen >= kSoon) continue;
      if (has_news(watch)) break;
      --other.left;
      other.seen = now;
      return false;
    }
  }
  const bool is_file = look(&kept, thread, fd, file);
  const auto known = std::find_if(kept.others.begin(), kept.others.end(),
                                  [fd](const Other& other) { return other.fd == fd; });
  Other& other = known != kept.others.end() ? *known : kept.others[kept.next++ % 2];
  other = is_file ? Other{} : Other{fd, kBelieved, now};
  return is_file;
}

bool DescriptorLook::look(Kept* kept, pid_t thread, int fd, const FileId& file) {
  if (kept->thread != thread) {
    drop(kept);
    kept->thread = thread;
    return descriptor_is(thread, fd, file);
  }
  if (kept->folder < 0) {
    const std::string path = "/proc/" + std::to_string(thread) + "/fd";
    kept->folder = ::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (kept->folder >= 0 && !is_to_spare(kept->folder)) ::close(std::exchange(kept->folder, -1));
    if (kept->folder < 0) return descriptor_is(thread, fd, file);
  }
  std::array<char, 16> name{};
  *std::to_chars(name.data(), name.data() + name.size() - 1, fd).ptr = '\0';
  struct stat status{};
  if (::fstatat(kept->folder, name.data(), &status, 0) == 0) {
    return FileId{status.st_dev, status.st_ino} == file;
  }
  // The folder is of a thread that has ended, whose number another one may have by now: it leads to
  // nobody else's descriptors.
  drop(kept);
  return descriptor_is(thread, fd, file);
}

}  // namespace tokenpool::proc
