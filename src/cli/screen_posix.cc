#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <string_view>

#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/screen.h"
#include "cli/terminal.h"

namespace tokenpool::cli {
namespace {

constexpr std::string_view kHide = "\033[?25l";
constexpr std::string_view kShow = "\033[?25h";
constexpr std::array<int, 3> kEnds{SIGINT, SIGTERM, SIGHUP};

volatile std::sig_atomic_t drawing = 0;

// In a handler only what signal-safety(7) names.
void say(std::string_view sequence) {
  if (drawing != 0 && write(STDOUT_FILENO, sequence.data(), sequence.size()) < 0) return;
}

void on_end(int number) {
  say(kShow);
  _exit(128 + number);
}

void on_stop(int /*number*/) {
  const int before = errno;
  say(kShow);
  raise(SIGSTOP);
  say(kHide);
  errno = before;
}

void handle(int number, void (*handler)(int)) {
  struct sigaction action{};
  sigaction(number, nullptr, &action);
  if (action.sa_handler == SIG_IGN) return;
  action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigaction(number, &action, nullptr);
}

}  // namespace

std::optional<ScreenSize> screen_size() {
  if (isatty(STDOUT_FILENO) != 1) return std::nullopt;
  ScreenSize size;
  struct winsize told{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &told) == 0) {
    if (told.ws_col > 0) size.columns = told.ws_col;
    if (told.ws_row > 0) size.rows = told.ws_row;
  }
  return size;
}

Screen::Screen(bool draws) : draws_(draws) {
  for (const int number : kEnds) handle(number, on_end);
  if (!draws) return;
  handle(SIGTSTP, on_stop);
  drawing = 1;
  print(stdout, std::string(kHide) + "\033[2J");
}

Screen::~Screen() {
  for (const int number : kEnds) handle(number, SIG_DFL);
  if (!draws_) return;
  handle(SIGTSTP, SIG_DFL);
  print(stdout, kShow);
  drawing = 0;
}

bool Screen::draw(const std::string& text) {
  const std::size_t rows = screen_size().value_or(ScreenSize{}).rows;
  std::string picture = "\033[H";
  std::size_t at = 0;
  // The last row stays empty: a newline there would move the rest.
  for (std::size_t row = 1; row < rows && at < text.size(); ++row) {
    const std::size_t end = text.find('\n', at);
    // Before the text: behind a line as wide as the terminal it would erase the last character.
    picture += "\033[K" + text.substr(at, end - at) + "\n";
    at = end + 1;
  }
  return print(stdout, picture + "\033[J");
}

}  // namespace tokenpool::cli
