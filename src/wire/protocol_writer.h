// Writes JSON at the end of a text. Internal to the codec.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

#include "wire/protocol.h"

namespace tokenpool::wire {

class LineWriter {
 public:
  explicit LineWriter(std::string* out) : out_(*out) {}

  /// As it is.
  LineWriter& raw(std::string_view json) {
    out_ += json;
    return *this;
  }
  template <std::signed_integral T>
  LineWriter& value(T number) {
    return signed_number(number);
  }
  template <std::unsigned_integral T>
  LineWriter& value(T number) {
    return unsigned_number(number);
  }
  LineWriter& value(bool flag) { return raw(flag ? "true" : "false"); }
  /// Finite. The shortest text that is read as the same number.
  LineWriter& value(double number);
  /// Bytes that are no UTF-8 become U+FFFD.
  LineWriter& value(std::string_view text);
  LineWriter& value(const std::string& text) { return value(std::string_view(text)); }
  LineWriter& value(const char* text) = delete;
  /// None: null.
  LineWriter& value(const CallId& id);

  /// The name of a member, with a comma before it where it is not the first.
  LineWriter& key(std::string_view name);
  template <typename T>
  LineWriter& member(std::string_view name, const T& what) {
    return key(name).value(what);
  }
  /// Before each element of a list, and each member of an object that is not named by key().
  LineWriter& element();

  /// `{"jsonrpc":"2.0","id":ID,"result":`, to be ended by end_result().
  LineWriter& begin_result(const CallId& id);
  LineWriter& end_result() { return raw("}\n"); }

  [[nodiscard]] std::size_t size() const { return out_.size(); }
  /// Takes back what was written since it was `size` long.
  void truncate(std::size_t size) { out_.resize(size); }

 private:
  LineWriter& signed_number(std::int64_t number);
  LineWriter& unsigned_number(std::uint64_t number);

  std::string& out_;
};

}  // namespace tokenpool::wire
