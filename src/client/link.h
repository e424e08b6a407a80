// One connection to whichever of the addresses answers: a non-blocking stream socket.
//
// Nothing here waits. The descriptor is close-on-exec, writes raise no SIGPIPE, TCP sends at once
// (TCP_NODELAY).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "client/text.h"

namespace tokenpool::client {

class Link {
 public:
  enum class State : std::uint8_t { closed, connecting, open };

  /// `addresses` is not empty.
  explicit Link(std::vector<Address> addresses);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] int fd() const { return fd_; }
  /// Of poll(2), while it connects or `writing`.
  [[nodiscard]] short events(bool writing) const;

  /// Begins to connect to the next address in turn; may be open or closed afterwards.
  void connect_next();
  /// ... to the same address as before.
  void connect_again();
  /// The next address is the first one again: all have been tried.
  [[nodiscard]] bool at_first() const { return next_ == 0; }
  void rewind() { next_ = 0; }
  /// Somebody listens there, but has no room for one more connection just now (EAGAIN).
  [[nodiscard]] bool busy() const { return busy_; }
  /// The errno of the last connection that could not be made; 0: none failed.
  [[nodiscard]] int error() const { return error_; }
  /// While it connects: whether that has come to an end.
  void check();
  /// Appends what has come. False: the connection is over, what came before is appended.
  bool read(std::string* bytes);
  /// Takes off what could be sent. False: the connection is over.
  bool write(std::string* bytes);
  void close();

 private:
  std::vector<Address> addresses_;
  std::size_t next_ = 0;
  std::size_t current_ = 0;
  int fd_ = -1;
  bool busy_ = false;
  int error_ = 0;
  State state_ = State::closed;
};

}  // namespace tokenpool::client
