#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "core/limits.h"
#include "launcher/opam_pipes.h"

namespace tokenpool::launcher {
namespace {

// A launcher that was started without standard descriptors would else give the job a pipe as one.
constexpr int kFirstFd = 3;

bool move_up(int* fd) {
  if (*fd >= kFirstFd) return true;
  const int moved = ::fcntl(*fd, F_DUPFD_CLOEXEC, kFirstFd);
  if (moved < 0) return false;
  ::close(*fd);
  *fd = moved;
  return true;
}

bool make_pipe(int* read_end, int* write_end) {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) return false;
  *read_end = ends[0];
  *write_end = ends[1];
  for (int* end : {read_end, write_end}) {
    if (!move_up(end)) return false;
    ::fcntl(*end, F_SETFD, FD_CLOEXEC);
  }
  return true;
}

void close_end(int* fd) {
  if (*fd >= 0) ::close(*fd);
  *fd = -1;
}

}  // namespace

wire::Result<std::unique_ptr<OpamPipes>> OpamPipes::open() {
  std::unique_ptr<OpamPipes> pipes(new OpamPipes);
  if (!make_pipe(&pipes->requests_, &pipes->job_write_) ||
      !make_pipe(&pipes->job_read_, &pipes->answers_)) {
    return tl::unexpected(wire::Error{125, std::string("cannot make the pipes of --opam: ") +
                                               std::strerror(errno) +
                                               "; raise the limit of open files (ulimit -n)"});
  }
  ::fcntl(pipes->requests_, F_SETFL, O_NONBLOCK);
  ::fcntl(pipes->answers_, F_SETFL, O_NONBLOCK);
  return pipes;
}

OpamPipes::~OpamPipes() {
  for (int* end : {&requests_, &answers_, &job_read_, &job_write_}) close_end(end);
}

std::string OpamPipes::variable() const {
  return std::to_string(job_read_) + "," + std::to_string(job_write_);
}

void OpamPipes::close_job_ends() {
  close_end(&job_read_);
  close_end(&job_write_);
}

std::vector<std::string> OpamPipes::serve(client::Pool* pool, const client::Wanted& wanted) {
  std::vector<std::string> sentences;
  if (requests_ >= 0) read_requests(&sentences);
  // Who cannot ask any more cannot give back either: what it has not got yet would be of no use.
  if (requests_ < 0) stop_asking(pool);
  take_granted(pool, &sentences);
  const auto most = static_cast<std::size_t>(core::kMaxSlots);
  while (wanted_ > 0 && asked_.size() + held_.size() < most) {
    --wanted_;
    asked_.push_back(pool->begin(wanted));
  }
  take_granted(pool, &sentences);
  return sentences;
}

void OpamPipes::read_requests(std::vector<std::string>* sentences) {
  std::array<char, 4096> bytes{};
  ssize_t got = 0;
  do {
    got = ::read(requests_, bytes.data(), bytes.size());
  } while (got < 0 && errno == EINTR);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) close_end(&requests_);
  for (ssize_t i = 0; i < got; ++i) on_byte(bytes[static_cast<std::size_t>(i)], sentences);
}

void OpamPipes::on_byte(char byte, std::vector<std::string>* sentences) {
  if (byte == '+') {
    ++wanted_;
  } else if (byte == '-' && !held_.empty()) {
    held_.pop_back();
  } else if (byte == '-') {
    if (!told_of_return_) {
      sentences->emplace_back(
          "a slot that the command gave back on OPAMJOBSERVER was not held by it; nothing was "
          "done");
    }
    told_of_return_ = true;
  } else {
    if (!told_of_byte_) {
      sentences->emplace_back(
          "a byte that the command wrote to OPAMJOBSERVER is neither + nor -; nothing was done");
    }
    told_of_byte_ = true;
  }
}

void OpamPipes::take_granted(client::Pool* pool, std::vector<std::string>* sentences) {
  std::size_t left = 0;
  for (std::size_t i = 0; i < asked_.size(); ++i) {
    auto granted = pool->take(asked_[i]);
    if (!granted) {
      asked_[left++] = asked_[i];
    } else if (!granted->has_value()) {
      if (!told_of_refusal_) {
        sentences->push_back("a slot that the command asked for on OPAMJOBSERVER cannot be had: " +
                             granted->error().message + "; it gets no answer");
      }
      told_of_refusal_ = true;
    } else if (answer()) {
      held_.push_back(std::move(**granted));
    }
  }
  asked_.resize(left);
  if (answers_ < 0) stop_asking(pool);
}

bool OpamPipes::answer() {
  if (answers_ < 0) return false;
  const char byte = '+';
  ssize_t done = 0;
  do {
    done = ::write(answers_, &byte, 1);
  } while (done < 0 && errno == EINTR);
  // A pipe holds more bytes than a pool has slots, so it is full only when somebody else writes.
  if (done != 1 && errno != EAGAIN) close_end(&answers_);
  return done == 1;
}

void OpamPipes::stop_asking(client::Pool* pool) {
  wanted_ = 0;
  for (const client::Ticket ticket : asked_) pool->drop(ticket);
  asked_.clear();
}

void OpamPipes::end(client::Pool* pool) {
  stop_asking(pool);
  held_.clear();
}

}  // namespace tokenpool::launcher
