#include <algorithm>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/token_source.h"
#include "core/check.h"
#include "dialect/makeflags.h"

namespace tokenpool::client {
namespace {

class PipeSource : public TokenSource {
 public:
  PipeSource(int read_fd, int write_fd) : read_(read_fd), write_(write_fd) {}
  ~PipeSource() override {
    close(read_);
    if (write_ != read_) close(write_);
  }

  std::optional<char> take() override {
    char token = 0;
    ssize_t got = 0;
    do {
      got = read(read_, &token, 1);
    } while (got < 0 && errno == EINTR);
    return got == 1 ? std::optional<char>(token) : std::nullopt;
  }

  // It is never full for long: what is written was in it before.
  void give(char token) override {
    while (write(write_, &token, 1) != 1) {
      if (errno == EINTR) continue;
      TOKENPOOL_CHECK(errno == EAGAIN);  // we read from it ourselves, so it has a reader
      pollfd room{.fd = write_, .events = POLLOUT, .revents = 0};
      poll(&room, 1, -1);
    }
  }

  [[nodiscard]] int fd() const override { return read_; }
  [[nodiscard]] short events() const override { return POLLIN; }

 private:
  int read_;
  int write_;
};

JobserverReason check_pipe(int fd) {
  struct stat info{};
  if (fstat(fd, &info) != 0) return JobserverReason::cannot_open;
  return S_ISFIFO(info.st_mode) ? JobserverReason::ok : JobserverReason::not_a_pipe;
}

int reopen(int fd, int mode) {
  for (const char* folder : {"/proc/self/fd/", "/dev/fd/"}) {
    const std::string path = folder + std::to_string(fd);
    const int own = open(path.c_str(), mode | O_NONBLOCK | O_CLOEXEC);
    if (own >= 0) return own;
  }
  return -1;
}

bool may(int fd, int forbidden) {
  const int flags = fcntl(fd, F_GETFL);
  return flags >= 0 && (flags & O_ACCMODE) != forbidden;
}

JobserverReason open_fifo(const std::string& path, std::unique_ptr<TokenSource>* source) {
  // Looked at before: opening a device or a terminal may do something.
  struct stat info{};
  if (stat(path.c_str(), &info) != 0) return JobserverReason::cannot_open;
  if (!S_ISFIFO(info.st_mode)) return JobserverReason::not_a_pipe;
  const int fd = open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return JobserverReason::cannot_open;
  *source = std::make_unique<PipeSource>(fd, fd);
  return JobserverReason::ok;
}

JobserverReason open_descriptors(int read_fd, int write_fd, std::unique_ptr<TokenSource>* source) {
  for (const int fd : {read_fd, write_fd}) {
    const JobserverReason reason = check_pipe(fd);
    if (reason != JobserverReason::ok) return reason;
  }
  // make closes them for what it does not take for a make; others may have got the numbers.
  if (!may(read_fd, O_WRONLY) || !may(write_fd, O_RDONLY)) return JobserverReason::cannot_open;
  const int own_read = reopen(read_fd, O_RDONLY);
  if (own_read < 0) return JobserverReason::cannot_open;
  const int own_write = reopen(write_fd, O_WRONLY);
  if (own_write < 0) {
    close(own_read);
    return JobserverReason::cannot_open;
  }
  *source = std::make_unique<PipeSource>(own_read, own_write);
  return JobserverReason::ok;
}

JobserverReason open_word(const dialect::JobserverWord& word,
                          std::unique_ptr<TokenSource>* source) {
  switch (word.form) {
    case dialect::JobserverWord::Form::fifo:
      return open_fifo(word.path, source);
    case dialect::JobserverWord::Form::descriptors:
      return open_descriptors(word.read_fd, word.write_fd, source);
    case dialect::JobserverWord::Form::negative:
      return JobserverReason::no_jobserver;
    case dialect::JobserverWord::Form::semaphore:
      return JobserverReason::unsupported;
    case dialect::JobserverWord::Form::invalid:
      return JobserverReason::bad_jobserver;
  }
  return JobserverReason::bad_jobserver;
}

}  // namespace

Jobserver open_jobserver(const std::optional<std::string>& makeflags) {
  Jobserver jobserver;
  if (!makeflags || makeflags->empty()) return jobserver;
  const dialect::Makeflags flags = dialect::parse_makeflags(*makeflags);
  // Of -auth and -fds the last of each counts, and -auth before -fds wherever it stands.
  const dialect::JobserverWord* chosen = nullptr;
  for (const bool auth : {false, true}) {
    for (const dialect::JobserverWord& word : flags.jobservers) {
      const bool is_auth = word.text.starts_with("--jobserver-auth=");
      const bool is_fds = word.text.starts_with("--jobserver-fds=");
      if (auth ? is_auth : is_fds) chosen = &word;
    }
  }
  if (chosen == nullptr) {
    jobserver.reason = JobserverReason::no_jobserver;
    return jobserver;
  }
  jobserver.reason = open_word(*chosen, &jobserver.source);
  if (jobserver.reason == JobserverReason::ok) {
    jobserver.slots = std::max(1, static_cast<int>(std::min(flags.jobs.value_or(1), 1U << 20)));
  }
  return jobserver;
}

}  // namespace tokenpool::client
