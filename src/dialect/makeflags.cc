#include "dialect/makeflags.h"

#include <algorithm>
#include <charconv>
#include <system_error>
#include <utility>

#include "core/check.h"
#include "core/limits.h"
#include "dialect/make_words.h"

namespace tokenpool::dialect {
namespace {

constexpr int kDescriptorLimit = 1024;

bool is_word_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

struct Split {
  std::vector<std::string> words;
  std::vector<std::string> written;
};

Split split(std::string_view value) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  Split out;
  std::size_t i = 0;
  while (true) {
    while (i < value.size() && blank(value[i])) ++i;
    if (i == value.size()) return out;
    std::string word;
    std::string written;
    for (; i < value.size() && !blank(value[i]); ++i) {
      if (value[i] == '\\') {
        // A backslash at the very end stands for itself; doubled it still does when words follow.
        written += '\\';
        if (i + 1 < value.size()) ++i;
      }
      written += value[i];
      word += value[i];
    }
    out.words.push_back(std::move(word));
    out.written.push_back(std::move(written));
  }
}

bool is_bundle(std::string_view written) {
  if (written.starts_with('\\')) written.remove_prefix(1);
  return !written.starts_with('-') && written.find('=') == std::string_view::npos;
}

bool parse_int(std::string_view text, int* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size();
}

JobserverWord parse_jobserver(const std::string& text) {
  JobserverWord word;
  word.text = text;
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || text.starts_with("--jobserver-s")) return word;
  const std::string_view value = std::string_view(text).substr(equals + 1);
  const std::size_t comma = value.find(',');
  int read_fd = -1;
  int write_fd = -1;
  if (value.starts_with("fifo:")) {
    word.path = value.substr(5);
    if (!word.path.empty()) word.form = JobserverWord::Form::fifo;
  } else if (comma != std::string_view::npos && parse_int(value.substr(0, comma), &read_fd) &&
             parse_int(value.substr(comma + 1), &write_fd)) {
    const bool usable = read_fd >= 0 && write_fd >= 0;
    word.form = usable ? JobserverWord::Form::descriptors : JobserverWord::Form::negative;
    word.read_fd = read_fd;
    word.write_fd = write_fd;
  } else if (!value.empty() && std::ranges::all_of(value, is_word_char)) {
    word.form = JobserverWord::Form::semaphore;
    word.path = value;
  }
  return word;
}

std::string compose(const Makeflags& flags, const std::string& ours) {
  std::string out;
  bool first = true;
  for (const std::string& word : flags.options) {
    if (!first || !is_bundle(word)) out += ' ';
    out += word;
    first = false;
  }
  out += ours;
  for (const std::string& word : flags.operands) out += " " + word;
  return out;
}

std::string words_of(const Jobserver& jobserver, Dialect dialect) {
  // Some clients (Bob, milahu) take -j1 for "no jobserver", and a pool may grow.
  const std::string jobs = " -j" + std::to_string(std::max(2, jobserver.slots));
  const std::string fds =
      std::to_string(jobserver.read_fd) + "," + std::to_string(jobserver.write_fd);
  switch (dialect) {
    case Dialect::fifo:
      return jobs + " --jobserver-auth=fifo:" + jobserver.fifo;
    case Dialect::fds_auth:
      return jobs + " --jobserver-auth=" + fds;
    case Dialect::fds_old:
      return " -j --jobserver-fds=" + fds;
    case Dialect::both:
      return " -j --jobserver-auth=fifo:" + jobserver.fifo + " --jobserver-f=" + fds;
    case Dialect::cargo:
      return " -j --jobserver-fds=" + fds + " --jobserver-auth=fifo:" + jobserver.fifo;
  }
  TOKENPOOL_CHECK(false);
}

}  // namespace

std::string_view to_string(Dialect dialect) {
  switch (dialect) {
    case Dialect::fifo:
      return "fifo";
    case Dialect::fds_auth:
      return "fds-auth";
    case Dialect::fds_old:
      return "fds-old";
    case Dialect::both:
      return "both";
    case Dialect::cargo:
      return "cargo";
  }
  TOKENPOOL_CHECK(false);
}

wire::Result<void> validate(const Jobserver& jobserver) {
  const auto fail = [](std::string sentence) {
    return tl::unexpected(wire::Error{125, std::move(sentence)});
  };
  const auto plain = [](char c) { return is_word_char(c) || c == '.' || c == '/' || c == '-'; };
  if (!jobserver.fifo.starts_with('/') || !std::ranges::all_of(jobserver.fifo, plain)) {
    return fail("the FIFO path '" + jobserver.fifo +
                "' cannot be named in MAKEFLAGS: it must be absolute and of letters, digits and "
                "_./- only; set TMPDIR to such a folder");
  }
  for (const int fd : {jobserver.read_fd, jobserver.write_fd}) {
    if (fd <= 2 || fd >= kDescriptorLimit) {
      return fail("descriptor " + std::to_string(fd) +
                  " cannot be named in MAKEFLAGS: it must be more than 2 and less than 1024; close "
                  "descriptors that the build does not need");
    }
  }
  if (jobserver.read_fd == jobserver.write_fd) {
    return fail("descriptor " + std::to_string(jobserver.read_fd) +
                " cannot be both ends of the jobserver; name two");
  }
  if (jobserver.slots < 1 || jobserver.slots > core::kMaxSlots) {
    return fail(std::to_string(jobserver.slots) + " slots are not possible: use 1 to " +
                std::to_string(core::kMaxSlots));
  }
  return {};
}

Makeflags parse_makeflags(std::string_view value) {
  const Split parts = split(value);
  MakeScan scan = scan_make_words(parts.words, parts.written, MakeSource::makeflags);
  // make ignores stray words in MAKEFLAGS, but as the first word they would be read as options.
  if (!scan.first_kept) {
    const auto end = std::ranges::find_if_not(scan.options, is_bundle);
    scan.options.erase(scan.options.begin(), end);
  }
  Makeflags flags{std::move(scan.options), std::move(scan.operands), {}, scan.jobs};
  for (const std::string& word : scan.jobservers) flags.jobservers.push_back(parse_jobserver(word));
  return flags;
}

std::string compose_makeflags(const Makeflags& flags, const Jobserver& jobserver, Dialect dialect) {
  TOKENPOOL_CHECK(validate(jobserver).has_value());
  return compose(flags, words_of(jobserver, dialect));
}

std::string compose_makeflags(const Makeflags& flags) { return compose(flags, {}); }

}  // namespace tokenpool::dialect
