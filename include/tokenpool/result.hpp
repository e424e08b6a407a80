// What the calls of the client library answer when they can fail.
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace tokenpool::client {

/// `code`: of tokenpool-protocol(7), the same in every mode, such as -32003 (the time is over) or
/// -32005 (more than there will ever be); 0: the client's own finding (no connection, a fork).
struct Error {
  int code = 0;
  std::string message;  ///< one line
};

/// A value or an Error. What is not there must not be asked for.
template <typename T>
class Result {
 public:
  Result(T value) : held_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : held_(std::in_place_index<1>, std::move(error)) {}
  [[nodiscard]] bool has_value() const noexcept { return held_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }
  T& operator*() noexcept { return *std::get_if<0>(&held_); }
  const T& operator*() const noexcept { return *std::get_if<0>(&held_); }
  T* operator->() noexcept { return std::get_if<0>(&held_); }
  const T* operator->() const noexcept { return std::get_if<0>(&held_); }
  [[nodiscard]] const Error& error() const noexcept { return *std::get_if<1>(&held_); }

 private:
  std::variant<T, Error> held_;
};

}  // namespace tokenpool::client
