#include "wire/protocol_json.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <system_error>

#include <rapidjson/error/error.h>
#include <rapidjson/reader.h>

#include "core/check.h"
#include "wire/characters.h"
#include "wire/limits.h"

namespace tokenpool::wire {
namespace {

/// Instead of an allocator: names the stack below.
struct InPlace {};

}  // namespace
}  // namespace tokenpool::wire

// The reader's own stack is on the heap, and its first step adds to a null pointer, which UBSan
// stops. What the reader keeps, two numbers for each level, has room in place.
template <>
class rapidjson::internal::Stack<tokenpool::wire::InPlace> {
 public:
  Stack(tokenpool::wire::InPlace* /*allocator*/, std::size_t /*capacity*/) {}
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;
  ~Stack() = default;

  void Clear() { size_ = 0; }
  template <typename T>
  T* Push(std::size_t count = 1) {
    TOKENPOOL_CHECK(count * sizeof(T) <= room_.size() - size_);
    size_ += count * sizeof(T);
    return end<T>(count);
  }
  template <typename T>
  T* Pop(std::size_t count) {
    T* const popped = end<T>(count);
    size_ -= count * sizeof(T);
    return popped;
  }
  template <typename T>
  T* Top() {
    return end<T>(1);
  }

 private:
  template <typename T>
  T* end(std::size_t count) {
    return reinterpret_cast<T*>(room_.data() + size_ - count * sizeof(T));
  }

  static constexpr std::size_t kLevel = 2 * sizeof(SizeType);
  alignas(SizeType) std::array<char, (tokenpool::wire::kMaxDepth + 1) * kLevel> room_;  // NOLINT
  std::size_t size_ = 0;
};

namespace tokenpool::wire {
namespace {

using Kind = JsonValue::Kind;
using Reader = rapidjson::GenericReader<rapidjson::UTF8<>, rapidjson::UTF8<>, InPlace>;

constexpr unsigned kFlags = rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag |
                            rapidjson::kParseInsituFlag | rapidjson::kParseNumbersAsStringsFlag;

/// Of a number that is not 0 and out of a double's range: it is too large, not too small.
bool is_large(std::string_view text) {
  const std::size_t mantissa = std::min(text.find_first_of("eE"), text.size());
  const std::size_t point = std::min(text.find('.'), mantissa);
  const std::size_t first = text.find_first_of("123456789");
  std::int64_t exponent = 0;
  if (mantissa < text.size()) {
    std::string_view digits = text.substr(mantissa + 1);
    const bool minus = digits.starts_with('-');
    if (minus || digits.starts_with('+')) digits.remove_prefix(1);
    // The parser has refused a larger one unless it is a negative one.
    if (std::from_chars(digits.data(), digits.data() + digits.size(), exponent).ec != std::errc{}) {
      return false;
    }
    if (minus) exponent = -exponent;
  }
  return static_cast<std::int64_t>(point) - static_cast<std::int64_t>(first) + exponent > 0;
}

/// Nothing: no double holds it.
std::optional<double> to_double(std::string_view text) {
  double number = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), number);
  if (result.ec == std::errc{}) return number;
  if (is_large(text)) return std::nullopt;
  return 0;
}

/// `text` is a number as JSON has it.
std::optional<JsonValue> to_value(std::string_view text) {
  const bool minus = text[0] == '-';
  JsonValue value;
  value.kind = Kind::whole;
  std::int64_t whole = 0;
  bool fits = text.size() <= 18;
  bool digits_only = true;
  for (const char c : text.substr(minus ? 1 : 0)) {
    digits_only = digits_only && is_digit(c);
    if (fits && digits_only) whole = whole * 10 + (c - '0');
  }
  if (digits_only && !fits) {
    fits = std::from_chars(text.data(), text.data() + text.size(), whole).ec == std::errc{};
  } else if (minus) {
    whole = -whole;
  }
  const bool minus_zero = minus && whole == 0;
  if (digits_only && fits && !minus_zero) {
    value.whole = whole;
    return value;
  }
  const std::optional<double> number = to_double(text);
  if (!number) return std::nullopt;
  value.kind = digits_only && !fits ? Kind::huge : Kind::number;
  value.number = *number;
  return value;
}

/// A handler of RapidJSON: answers false where the text is to be refused.
class Events {
 public:
  Events(JsonSink* sink, rapidjson::InsituStringStream* stream, bool has_escapes)
      : sink_(sink), stream_(stream), has_escapes_(has_escapes) {}

  bool Null() { return scalar(Kind::null, false); }
  bool Bool(bool flag) { return scalar(Kind::boolean, flag); }
  bool RawNumber(const char* text, rapidjson::SizeType size, bool /*copy*/) {
    const std::optional<JsonValue> value = to_value({text, size});
    if (!value) return refuse("a number that no double holds");
    sink_->value(*value);
    return true;
  }
  bool String(const char* text, rapidjson::SizeType size, bool /*copy*/) {
    if (is_half({text, size})) return refuse("half of a surrogate pair");
    JsonValue value;
    value.kind = Kind::text;
    value.size = size;
    value.data = text;
    sink_->value(value);
    return true;
  }
  bool Key(const char* text, rapidjson::SizeType size, bool /*copy*/) {
    if (is_half({text, size})) return refuse("half of a surrogate pair");
    sink_->key({text, size});
    return true;
  }
  bool StartObject() { return open(Kind::object); }
  bool StartArray() { return open(Kind::list); }
  bool EndObject(rapidjson::SizeType /*members*/) { return close(); }
  bool EndArray(rapidjson::SizeType /*elements*/) { return close(); }

  // The flags leave no other way for a number than RawNumber(); the reader names these all the
  // same.
  bool Int(int) { return false; }
  bool Uint(unsigned) { return false; }
  bool Int64(std::int64_t) { return false; }
  bool Uint64(std::uint64_t) { return false; }
  bool Double(double) { return false; }

  [[nodiscard]] std::string_view refused() const { return refused_; }

 private:
  bool refuse(std::string_view what) {
    refused_ = what;
    return false;
  }
  bool scalar(Kind kind, bool flag) {
    JsonValue value;
    value.kind = kind;
    value.flag = flag;
    sink_->value(value);
    return true;
  }
  bool open(Kind kind) {
    if (++depth_ > kMaxDepth) return refuse("too deep");
    sink_->open(kind, stream_->Tell());
    return true;
  }
  bool close() {
    --depth_;
    sink_->close(stream_->Tell() + 1);
    return true;
  }
  /// RapidJSON 1.1 takes \udc00 without \ud800 before it. The bytes of a surrogate can come from an
  /// escape only: where they stand for themselves the reader has refused them.
  [[nodiscard]] bool is_half(std::string_view text) const {
    if (!has_escapes_) return false;
    for (std::size_t i = text.find('\xED'); i != std::string_view::npos;
         i = text.find('\xED', i + 1)) {
      if (static_cast<unsigned char>(text[i + 1]) >= 0xA0) return true;
    }
    return false;
  }

  JsonSink* sink_;
  rapidjson::InsituStringStream* stream_;
  bool has_escapes_;
  int depth_ = 0;
  std::string_view refused_;
};

std::string_view describe(rapidjson::ParseErrorCode code) {
  if (code == rapidjson::kParseErrorStringInvalidEncoding) return "no UTF-8";
  if (code == rapidjson::kParseErrorStringUnicodeSurrogateInvalid) {
    return "half of a surrogate pair";
  }
  if (code == rapidjson::kParseErrorNumberTooBig) return "a number that no double holds";
  return "no JSON";
}

}  // namespace

JsonText::JsonText(std::string_view line) : size_(line.size()) {
  if (line.size() >= near_.size()) far_.reset(new char[line.size() + 1]);
  text_ = far_ ? far_.get() : near_.data();
  if (!line.empty()) std::memcpy(text_, line.data(), line.size());
  text_[line.size()] = '\0';
}

std::optional<JsonFault> JsonText::parse(JsonSink* sink) {
  const std::string_view line(text_, size_);
  // The stream ends at a zero byte, which JSON never has.
  if (const std::size_t zero = line.find('\0'); zero != std::string_view::npos) {
    return JsonFault{"no JSON: a zero byte", zero};
  }
  rapidjson::InsituStringStream stream(text_);
  Events events(sink, &stream, line.find('\\') != std::string_view::npos);
  Reader reader;
  const rapidjson::ParseResult result = reader.Parse<kFlags>(stream, events);
  if (!result.IsError()) return std::nullopt;
  return JsonFault{events.refused().empty() ? describe(result.Code()) : events.refused(),
                   result.Offset()};
}

}  // namespace tokenpool::wire
