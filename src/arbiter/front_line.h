// The arbiter's end of the socket to the front.
#pragma once

namespace tokenpool::arbiter {

/// Borrows the socket.
class FrontLine {
 public:
  explicit FrontLine(int control) : control_(control) {}
  /// One of the words of board/begin.h. False: nobody will read it. Does not block.
  bool say(char word) const;
  /// There is news on the board.
  void tell_news() const;
  /// The front lives.
  [[nodiscard]] bool is_open() const;

 private:
  int control_;
};

}  // namespace tokenpool::arbiter
