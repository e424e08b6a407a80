#include "dialect/make_words.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/check.h"

namespace tokenpool::dialect {
namespace {

constexpr std::string_view kShortWithValue = "CEfIoW";
// Their value, if any, is the rest of the word; -j and -l also take a separate number.
constexpr std::string_view kShortWithOptionalValue = "jlO";

constexpr std::array<std::string_view, 12> kLongWithValue = {
    "--directory",   "--eval",       "--file",       "--makefile",
    "--include-dir", "--old-file",   "--assume-old", "--what-if",
    "--new-file",    "--assume-new", "--sync-mutex", "--jobserver-style"};
constexpr std::array<std::string_view, 22> kLongWithoutValue = {"--always-make",
                                                                "--debug",
                                                                "--environment-overrides",
                                                                "--help",
                                                                "--ignore-errors",
                                                                "--keep-going",
                                                                "--load-average",
                                                                "--max-load",
                                                                "--check-symlink-times",
                                                                "--just-print",
                                                                "--dry-run",
                                                                "--output-sync",
                                                                "--print-data-base",
                                                                "--question",
                                                                "--no-builtin-rules",
                                                                "--silent",
                                                                "--no-keep-going",
                                                                "--touch",
                                                                "--trace",
                                                                "--version",
                                                                "--no-print-directory",
                                                                "--warn-undefined-variables"};

// make accepts every unambiguous beginning of a long option, and only words before `=` count.
bool long_option_takes_next(std::string_view word) {
  if (word.find('=') != std::string_view::npos) return false;
  const auto begins = [word](std::string_view option) { return option.starts_with(word); };
  if (std::ranges::find(kLongWithValue, word) != kLongWithValue.end()) return true;
  return std::ranges::any_of(kLongWithValue, begins) &&
         std::ranges::none_of(kLongWithoutValue, begins);
}

// From "--jobse" on an abbreviation can no longer mean --jobs. Clients other than make look for the
// word anywhere, so it counts anywhere.
bool is_jobserver_word(std::string_view word) { return word.starts_with("--jobse"); }

class Scanner {
 public:
  Scanner(std::span<const std::string> words, std::span<const std::string> written,
          MakeSource source)
      : words_(words), written_(written), makeflags_(source == MakeSource::makeflags) {}

  MakeScan run() {
    while (at_ < words_.size() && words_[at_] != "--") option_word();
    if (at_ < words_.size()) keep_operands();
    return std::move(scan_);
  }

 private:
  void option_word() {
    const std::string& word = words_[at_];
    if (makeflags_ && is_jobserver_word(word)) {
      jobserver_word();
    } else if (word.starts_with("--jobs") && (word.size() == 6 || word[6] == '=')) {
      jobs(word.size() == 6 ? std::nullopt : std::optional(word.substr(7)), {});
    } else if (word.starts_with("--")) {
      keep(long_option_takes_next(word));
    } else if (word.size() > 1 && word[0] == '-') {
      cluster(1);
    } else if (makeflags_ && at_ == 0 && word.find('=') == std::string::npos) {
      cluster(0);
    } else {
      keep(false);
    }
  }

  void cluster(std::size_t first) {
    const std::string& word = words_[at_];
    for (std::size_t i = first; i < word.size(); ++i) {
      if (kShortWithValue.find(word[i]) != std::string_view::npos)
        return keep(i + 1 == word.size());
      if (word[i] == 'j') {
        std::optional<std::string> value;
        if (i + 1 < word.size()) value = word.substr(i + 1);
        return jobs(value, i > first ? word.substr(0, i) : std::string());
      }
      if (kShortWithOptionalValue.find(word[i]) != std::string_view::npos) break;
    }
    keep(false);
  }

  // `left`: what stays of a cluster when its -j has gone.
  void jobs(const std::optional<std::string>& attached, const std::string& left) {
    std::string text = words_[at_];
    if (!left.empty()) text = "-" + text.substr(left.size());
    std::optional<unsigned> number = attached ? whole_number(*attached) : 0;
    std::size_t used = 1;
    if (!attached && at_ + 1 < words_.size()) {
      if (const auto next = whole_number(words_[at_ + 1])) {
        number = next == 0u ? std::nullopt : next;
        text += " " + words_[at_ + 1];
        used = 2;
      }
    } else if (attached && number == 0u) {
      number = std::nullopt;
    }
    if (!number && !makeflags_) {
      for (; used > 0; --used) keep(false);
      return;
    }
    if (number) scan_.jobs = number;
    scan_.removed.push_back(text);
    if (!left.empty()) {
      scan_.first_kept |= at_ == 0;
      scan_.options.push_back(makeflags_ ? escaped(left) : left);
    }
    at_ += used;
  }

  void jobserver_word() {
    std::string text = words_[at_++];
    if (text.find('=') == std::string::npos && at_ < words_.size() && words_[at_] != "--") {
      text += "=" + words_[at_++];
    }
    scan_.jobservers.push_back(std::move(text));
  }

  void keep(bool with_next) {
    const bool pair = with_next && at_ + 1 < words_.size();
    if (pair && makeflags_ && is_jobserver_word(words_[at_ + 1])) {
      // To make it is a file name or the like, to all others a jobserver: neither may stay, and an
      // option must not be left to swallow the word after it.
      ++at_;
      return jobserver_word();
    }
    if (with_next && !pair && makeflags_) {
      ++at_;
      return;
    }
    scan_.first_kept |= at_ == 0;
    for (std::size_t n = pair ? 2 : 1; n > 0; --n) scan_.options.push_back(written_[at_++]);
  }

  void keep_operands() {
    for (; at_ < words_.size(); ++at_) {
      if (makeflags_ && is_jobserver_word(words_[at_])) {
        scan_.jobservers.push_back(words_[at_]);
      } else {
        scan_.operands.push_back(written_[at_]);
      }
    }
  }

  static std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
      if (c == ' ' || c == '\t' || c == '\\') out += '\\';
      out += c;
    }
    return out;
  }

  std::span<const std::string> words_;
  std::span<const std::string> written_;
  bool makeflags_;
  std::size_t at_ = 0;
  MakeScan scan_;
};

}  // namespace

MakeScan scan_make_words(std::span<const std::string> words, std::span<const std::string> written,
                         MakeSource source) {
  TOKENPOOL_CHECK(words.size() == written.size());
  return Scanner(words, written, source).run();
}

std::optional<unsigned> whole_number(std::string_view text) {
  constexpr unsigned kMost = 1'000'000;
  if (text.empty()) return std::nullopt;
  unsigned number = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    number = std::min(kMost, number * 10 + static_cast<unsigned>(c - '0'));
  }
  return number;
}

}  // namespace tokenpool::dialect
