// A file of /proc or of a control group that is read again and again: opened once.
#pragma once

#include <string>
#include <string_view>

namespace tokenpool::proc {

/// Owns a descriptor. Moves, does not copy.
class KeptFile {
 public:
  KeptFile() = default;
  /// One that cannot be opened reads as empty.
  explicit KeptFile(const std::string& path);
  KeptFile(KeptFile&& other) noexcept;
  KeptFile& operator=(KeptFile&& other) noexcept;
  ~KeptFile();

  [[nodiscard]] bool is_open() const { return fd_ >= 0; }
  /// All that it says now (pread(2), in one call where the last answer's size still suffices, so
  /// that it is of one moment). Valid until the next call. Empty: it cannot be read.
  std::string_view read();

 private:
  int fd_ = -1;
  std::string text_;
};

}  // namespace tokenpool::proc
