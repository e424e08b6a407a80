#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <unistd.h>

#include "cli/terminal.h"
#include "wire/plain_text.h"

namespace tokenpool::cli {

bool use_colour(std::FILE* stream) {
  const char* const no_color = std::getenv("NO_COLOR");
  if (no_color != nullptr && *no_color != '\0') return false;
  const char* const term = std::getenv("TERM");
  if (term == nullptr || *term == '\0' || std::strcmp(term, "dumb") == 0) return false;
  return isatty(fileno(stream)) == 1;
}

std::string styled(std::string_view text, Style style, bool colour) {
  const char* code = nullptr;
  switch (style) {
    case Style::plain:
      break;
    case Style::heading:
      code = "\033[1m";
      break;
    case Style::good:
      code = "\033[32m";
      break;
    case Style::attention:
      code = "\033[33m";
      break;
  }
  if (!colour || code == nullptr) return std::string(text);
  return code + std::string(text) + "\033[0m";
}

bool print(std::FILE* stream, std::string_view text) {
  // Flushed here, because after exit() nobody is left to tell of a full disk.
  if (std::fwrite(text.data(), 1, text.size(), stream) == text.size() && std::fflush(stream) == 0) {
    return true;
  }
  if (errno != EPIPE && stream != stderr) {
    std::fprintf(stderr, "tokenpool: cannot write to standard output: %s; give it somewhere else\n",
                 std::strerror(errno));
  }
  return false;
}

int fail(std::string_view command, const wire::Error& error) {
  std::string line = "tokenpool";
  if (!command.empty()) line += " " + std::string(command);
  line += ": " + error.sentence;
  print(stderr, wire::clean_line(line) + "\n");
  return error.status;
}

}  // namespace tokenpool::cli
