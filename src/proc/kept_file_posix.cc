#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "proc/kept_file.h"

namespace tokenpool::proc {
namespace {

constexpr std::size_t kFirstSize = 4096;
/// /proc/stat of a machine with thousands of CPUs and interrupts has less.
constexpr std::size_t kMaxSize = std::size_t{4} << 20;

}  // namespace

KeptFile::KeptFile(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}

KeptFile::KeptFile(KeptFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), text_(std::move(other.text_)) {}

KeptFile& KeptFile::operator=(KeptFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(text_, other.text_);
  return *this;
}

KeptFile::~KeptFile() {
  if (fd_ >= 0) ::close(fd_);
}

std::string_view KeptFile::read() {
  if (fd_ < 0) return {};
  if (text_.empty()) text_.resize(kFirstSize);
  while (true) {
    const ssize_t n = ::pread(fd_, text_.data(), text_.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return {};
    const auto size = static_cast<std::size_t>(n);
    if (size < text_.size() || text_.size() >= kMaxSize) return {text_.data(), size};
    text_.resize(2 * text_.size());
  }
}

}  // namespace tokenpool::proc
