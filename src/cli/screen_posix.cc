#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "cli/screen.h"
#include "cli/terminal.h"

namespace tokenpool::cli {
namespace {

constexpr std::string_view kHide = "\033[?25l";
constexpr std::string_view kShow = "\033[?25h";
constexpr std::array<int, 3> kEnds{SIGINT, SIGTERM, SIGHUP};

volatile std::sig_atomic_t drawing = 0;
volatile std::sig_atomic_t reading = 0;
termios modes_before{};  ///< valid while `reading`

// In a handler only what signal-safety(7) names.
void say(std::string_view sequence) {
  if (drawing != 0 && write(STDOUT_FILENO, sequence.data(), sequence.size()) < 0) return;
}

bool is_in_foreground() {
  return isatty(STDIN_FILENO) == 1 && tcgetpgrp(STDIN_FILENO) == getpgrp();
}

// Whoever has the terminal by now has set it as it needs it.
void give_keys_back() {
  if (reading != 0 && is_in_foreground()) tcsetattr(STDIN_FILENO, TCSANOW, &modes_before);
}

void take_keys() {
  if (reading == 0 || !is_in_foreground()) return;
  termios modes = modes_before;
  modes.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  modes.c_cc[VMIN] = 0;
  modes.c_cc[VTIME] = 0;
  tcsetattr(STDIN_FILENO, TCSANOW, &modes);
}

void on_end(int number) {
  give_keys_back();
  say(kShow);
  _exit(128 + number);
}

void on_stop(int /*number*/) {
  const int before = errno;
  give_keys_back();
  say(kShow);
  raise(SIGSTOP);
  take_keys();
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

bool can_draw() {
  const char* const term = std::getenv("TERM");
  const bool dumb = term == nullptr || *term == '\0' || std::string_view(term) == "dumb";
  return !dumb && screen_size().has_value();
}

Screen::Screen(bool draws) : draws_(draws) {
  for (const int number : kEnds) handle(number, on_end);
  if (!draws) return;
  handle(SIGTSTP, on_stop);
  drawing = 1;
  reads_ = is_in_foreground() && tcgetattr(STDIN_FILENO, &modes_before) == 0;
  reading = reads_ ? 1 : 0;
  take_keys();
  print(stdout, std::string(kHide) + "\033[2J");
}

Screen::~Screen() {
  for (const int number : kEnds) handle(number, SIG_DFL);
  if (!draws_) return;
  handle(SIGTSTP, SIG_DFL);
  give_keys_back();
  reading = 0;
  print(stdout, kShow);
  drawing = 0;
}

// The last row stays empty: a newline there would move the rest.
std::size_t Screen::rows() const {
  return std::max<std::size_t>(screen_size().value_or(ScreenSize{}).rows, 2) - 1;
}

bool Screen::draw(const std::string& text) {
  const std::size_t most = rows();
  std::string picture = "\033[H";
  std::size_t at = 0;
  for (std::size_t row = 0; row < most && at < text.size(); ++row) {
    const std::size_t end = text.find('\n', at);
    // Before the text: behind a line as wide as the terminal it would erase the last character.
    picture += "\033[K" + text.substr(at, end - at) + "\n";
    at = end + 1;
  }
  return print(stdout, picture + "\033[J");
}

bool Screen::wait_for_key(client::Pool& pool, std::chrono::milliseconds most) {
  const int due = pool.timeout_ms();
  const int patience = static_cast<int>(most.count());
  std::array<pollfd, 2> ready{pollfd{pool.fd(), pool.events(), 0},
                              pollfd{reads_ ? STDIN_FILENO : -1, POLLIN, 0}};
  poll(ready.data(), ready.size(), due < 0 ? patience : std::min(due, patience));
  pool.process();
  if (ready[1].revents == 0) return false;
  std::array<char, 64> keys{};
  const ssize_t got = read(STDIN_FILENO, keys.data(), keys.size());
  // A terminal that has hung up is always ready, and SIGHUP ends this process.
  if (got < 0 || (ready[1].revents & POLLHUP) != 0) reads_ = false;
  const std::string_view typed(keys.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  return typed.find_first_of("qQ") != std::string_view::npos;
}

}  // namespace tokenpool::cli
