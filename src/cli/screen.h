// The terminal that `tokenpool status --watch` redraws, and the signals that end it.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace tokenpool::cli {

struct ScreenSize {
  std::size_t columns = 80;
  std::size_t rows = 24;
};

/// Of the terminal that stdout is, 80 x 24 where it does not tell. Nothing: it is no terminal.
std::optional<ScreenSize> screen_size();

/// One at a time. While it lives, SIGINT, SIGTERM and SIGHUP end the process at once with 128 + n,
/// as far as they were not ignored. Where `draws`, the cursor is hidden meanwhile, and shown again
/// in its destructor, before such an end, and while the process is stopped by SIGTSTP.
class Screen {
 public:
  explicit Screen(bool draws);
  ~Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  /// Shows the lines of `text` in the place of what was there before, as many as fit. False: stdout
  /// takes nothing more.
  bool draw(const std::string& text);

 private:
  bool draws_;
};

}  // namespace tokenpool::cli
