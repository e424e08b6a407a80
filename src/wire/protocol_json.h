// The events of one JSON text, without a tree. Internal to the codec: protocol_*.cc.
//
// Nothing is allocated for a text below 1 KiB; a longer one costs one copy of itself.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "core/limits.h"

namespace tokenpool::wire {

/// core::kMaxNumber in the type of JsonValue::whole.
inline constexpr auto kMaxNumber = static_cast<std::int64_t>(core::kMaxNumber);

struct JsonValue {
  enum class Kind : std::uint8_t {
    missing,
    null,
    boolean,
    whole,   ///< digits only, maybe with a minus before them; fits into `whole`
    huge,    ///< the same, but beyond `whole`: in `number`
    number,  ///< a fraction, an exponent, or -0
    text,
    object,
    list,
  };
  Kind kind = Kind::missing;
  bool flag = false;
  std::uint32_t size = 0;
  union {
    std::int64_t whole = 0;
    double number;
    const char* data;
  };

  [[nodiscard]] bool is(Kind other) const { return kind == other; }
  /// Of Kind::text. Lives as long as the JsonText that it comes from.
  [[nodiscard]] std::string_view text() const { return {data, size}; }
};

/// Each member of an object is announced by key(). Positions are bytes in the line.
class JsonSink {
 public:
  JsonSink() = default;
  JsonSink(const JsonSink&) = delete;
  JsonSink& operator=(const JsonSink&) = delete;

  virtual void key(std::string_view name) = 0;
  /// No object and no list.
  virtual void value(const JsonValue& value) = 0;
  /// An object or a list begins at `at`, where its bracket is.
  virtual void open(JsonValue::Kind kind, std::size_t at) = 0;
  /// What was opened last ends before `end`.
  virtual void close(std::size_t end) = 0;

 protected:
  ~JsonSink() = default;
};

struct JsonFault {
  std::string_view what;
  std::size_t at = 0;  ///< a byte of the line
};

/// A line, and what the texts in it are once their escapes are gone.
class JsonText {
 public:
  explicit JsonText(std::string_view line);
  JsonText(const JsonText&) = delete;
  JsonText& operator=(const JsonText&) = delete;
  ~JsonText() = default;

  /// Once. A fault: no JSON (RFC 8259), no UTF-8, half of a surrogate pair, a number beyond what a
  /// double holds, deeper than kMaxDepth; the sink has seen what comes before it.
  std::optional<JsonFault> parse(JsonSink* sink);

 private:
  std::array<char, 1024> near_;  // NOLINT: not cleared, for speed
  std::unique_ptr<char[]> far_;
  char* text_;
  std::size_t size_;
};

}  // namespace tokenpool::wire
