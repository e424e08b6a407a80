// The terminal that `tokenpool status --watch` redraws, and the signals that end it.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

#include "tokenpool/client.hpp"

namespace tokenpool::cli {

struct ScreenSize {
  std::size_t columns = 80;
  std::size_t rows = 24;
};

/// Of the terminal that stdout is, 80 x 24 where it does not tell. Nothing: it is no terminal.
std::optional<ScreenSize> screen_size();

/// Whether stdout is a terminal on which pictures can be drawn: TERM is set and not "dumb".
bool can_draw();

/// One at a time. While it lives, SIGINT, SIGTERM and SIGHUP end the process at once with 128 + n,
/// as far as they were not ignored. Where `draws`, the cursor is hidden meanwhile, and shown again
/// in its destructor, before such an end, and while the process is stopped by SIGTSTP; keys that
/// are typed on stdin are not echoed meanwhile, where it is a terminal of whose foreground this is.
class Screen {
 public:
  explicit Screen(bool draws);
  ~Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  /// Shows the lines of `text` in the place of what was there before, as many as fit. False: stdout
  /// takes nothing more.
  bool draw(const std::string& text);
  /// Lines that draw() can show.
  [[nodiscard]] std::size_t rows() const;

  /// Until something has happened to `pool`, which then has processed it, or `most` has passed.
  /// True: q was typed.
  bool wait_for_key(client::Pool& pool, std::chrono::milliseconds most);

 private:
  bool draws_;
  bool reads_ = false;  ///< keys
};

}  // namespace tokenpool::cli
