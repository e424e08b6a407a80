#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/limits.h"
#include "jobserver/fifo.h"
#include "jobserver/run_folder.h"

namespace tokenpool::jobserver {
namespace {

constexpr const char* kOtherFolder = "set TMPDIR to a folder where files can be made";
constexpr const char* kMoreFiles = "raise the limit of open files (ulimit -n)";

wire::Error failed(const std::string& what, const char* advice) {
  if (errno == EMFILE || errno == ENFILE) advice = kMoreFiles;
  return {125, what + ": " + std::strerror(errno) + "; " + advice};
}

// Raises `fd` to a number of at least `from` (or as near below as the limit allows) and closes it.
int raise_number(int fd, int from) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const int top = static_cast<int>(std::min<rlim_t>(limit.rlim_cur, 1024));
  const int raised = ::fcntl(fd, F_DUPFD_CLOEXEC, std::max(3, std::min(from, top - 4)));
  if (raised < 0 || raised >= 1024) {
    if (raised >= 0) ::close(raised);
    return fd;
  }
  ::close(fd);
  return raised;
}

}  // namespace

Fifo::~Fifo() {
  if (fd_ >= 0) ::close(fd_);
}

void Fifo::choose_name(const std::string& parent) {
  folder_ = parent + "/" + new_run_name();
  path_ = folder_ + "/" + std::string(kFifoName);
}

wire::Result<void> Fifo::create() {
  if (::mkdir(folder_.c_str(), 0700) != 0) {
    const int reason = errno;
    auto error = failed("cannot make the folder " + folder_ + " for the FIFO", kOtherFolder);
    folder_.clear();
    errno = reason;
    return tl::unexpected(std::move(error));
  }
  // Under its own name it is there only with somebody who has it open: else it belongs to the dead.
  const std::string unopened = folder_ + "/" + std::string(kNewFifoName);
  const bool made = ::mkfifo(unopened.c_str(), 0600) == 0;
  const int fd = made ? ::open(unopened.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC) : -1;
  if (fd < 0 || ::rename(unopened.c_str(), path_.c_str()) != 0) {
    const int reason = errno;
    auto error = failed("cannot make the FIFO " + path_, kOtherFolder);
    if (fd >= 0) ::close(fd);
    remove();
    errno = reason;
    return tl::unexpected(std::move(error));
  }
  adopt(fd);
  return {};
}

void Fifo::adopt(int fd) {
  struct stat status{};
  ::fstat(fd, &status);
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
  id_ = {status.st_dev, status.st_ino};
}

int Fifo::level() const {
  int bytes = 0;
  return ::ioctl(fd_, FIONREAD, &bytes) == 0 ? bytes : 0;
}

int Fifo::take(int count) const {
  std::array<char, 4096> bytes{};
  int taken = 0;
  while (taken < count) {
    const auto want = std::min<std::size_t>(static_cast<std::size_t>(count - taken), bytes.size());
    const ssize_t n = ::read(fd_, bytes.data(), want);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    taken += static_cast<int>(n);
  }
  return taken;
}

int Fifo::put(int count) const {
  std::array<char, core::kMaxSlots> bytes{};
  bytes.fill('+');
  int done = 0;
  while (done < count) {
    const auto want = std::min<std::size_t>(static_cast<std::size_t>(count - done), bytes.size());
    const ssize_t n = ::write(fd_, bytes.data(), want);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    done += static_cast<int>(n);
  }
  return done;
}

wire::Result<void> Fifo::open_ends(int* read_end, int* write_end) const {
  const std::string what = "cannot open the FIFO " + path_ + " for the build";
  // O_NONBLOCK only while opening: a peer is there, but an open must never be able to hang.
  int reader = ::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (reader < 0) return tl::unexpected(failed(what, kMoreFiles));
  ::fcntl(reader, F_SETFL, O_RDONLY);
  reader = raise_number(reader, 1000);
  int writer = ::open(path_.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  if (writer < 0) {
    auto error = failed(what, kMoreFiles);
    ::close(reader);
    return tl::unexpected(std::move(error));
  }
  ::fcntl(writer, F_SETFL, O_WRONLY);
  writer = raise_number(writer, 1000);
  *read_end = reader;
  *write_end = writer;
  return {};
}

bool Fifo::is_on_disk() const {
  struct stat status{};
  return ::stat(path_.c_str(), &status) == 0 && proc::FileId{status.st_dev, status.st_ino} == id_;
}

void Fifo::remove() {
  if (folder_.empty()) return;
  ::unlink((folder_ + "/" + std::string(kEnvironmentName)).c_str());
  ::unlink((folder_ + "/" + std::string(kSocketName)).c_str());
  ::unlink(path_.c_str());
  if (::rmdir(folder_.c_str()) == 0 || errno == ENOENT) return;
  // The shims keep what they learnt about the tools in the same folder.
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

}  // namespace tokenpool::jobserver
