// What a client reads; the whole of a status is in protocol_status_reader.cc.
#include <array>
#include <climits>
#include <string>
#include <utility>

#include "wire/limits.h"
#include "wire/protocol_codec.h"
#include "wire/protocol_json.h"
#include "wire/protocol_members.h"

namespace tokenpool::wire {
namespace {

using Kind = JsonValue::Kind;

/// In the order of kFieldNames.
enum class Field : std::uint8_t {
  lease,
  slots,
  paid,
  watched,
  cancelled,
  session,
  server,
  protocol,
  epoch,
  resumed,
  reason,
  deadline_ms,
  unknown,
};
constexpr std::size_t kFields = static_cast<std::size_t>(Field::unknown);
constexpr std::array<std::string_view, kFields> kFieldNames = {
    "lease",  "slots",    "paid",  "watched", "cancelled", "session",
    "server", "protocol", "epoch", "resumed", "reason",    "deadline_ms"};

Field field_of(std::string_view name) {
  for (std::size_t i = 0; i < kFields; ++i) {
    if (kFieldNames[i] == name) return static_cast<Field>(i);
  }
  return Field::unknown;
}

/// A result, or the params of a notification.
struct Body {
  JsonValue self;
  std::size_t begin = 0;
  std::size_t end = 0;
  std::array<JsonValue, kFields + 1> fields;
  std::vector<std::uint64_t> resumed;
  bool is_resumed_wrong = false;
};

class AnswerSink final : public JsonSink {
 public:
  void key(std::string_view name) override;
  void value(const JsonValue& value) override;
  void open(Kind kind, std::size_t at) override;
  void close(std::size_t end) override;

  JsonValue root;
  JsonValue version;
  JsonValue id;
  JsonValue method;
  JsonValue error;
  JsonValue code;
  JsonValue message;
  Body result;
  Body params;

 private:
  enum class Level : std::uint8_t { outside, envelope, error, body, resumed };

  [[nodiscard]] bool is_at(const Body& body) const { return current_ == &body.self; }
  void add_resumed(const JsonValue& value);
  bool enter(Kind kind, std::size_t at);

  Level level_ = Level::outside;
  int skipped_ = 0;             ///< levels below one that matters
  JsonValue* current_ = &root;  ///< where the next value belongs
  JsonValue ignored_;
  Body* body_ = &result;  ///< the one that is open
};

void AnswerSink::key(std::string_view name) {
  if (skipped_ > 0) return;
  if (level_ == Level::body) {
    current_ = &body_->fields[static_cast<std::size_t>(field_of(name))];
  } else if (level_ == Level::error) {
    current_ = name == "code" ? &code : name == "message" ? &message : &ignored_;
  } else {
    current_ = name == "id"        ? &id
               : name == "result"  ? &result.self
               : name == "jsonrpc" ? &version
               : name == "method"  ? &method
               : name == "params"  ? &params.self
               : name == "error"   ? &error
                                   : &ignored_;
  }
}

void AnswerSink::add_resumed(const JsonValue& value) {
  const bool right = value.is(Kind::whole) && value.whole >= 0 && value.whole <= kMaxNumber;
  if (!right || body_->resumed.size() == kMaxResumed) {
    body_->is_resumed_wrong = true;
  } else {
    body_->resumed.push_back(static_cast<std::uint64_t>(value.whole));
  }
}

void AnswerSink::value(const JsonValue& value) {
  if (skipped_ > 0) return;
  if (level_ == Level::resumed) return add_resumed(value);
  *current_ = value;
}

/// Whether what opens is of a kind that matters.
bool AnswerSink::enter(Kind kind, std::size_t at) {
  const bool is_object = kind == Kind::object;
  if (level_ == Level::outside && is_object) {
    level_ = Level::envelope;
  } else if (level_ == Level::envelope && is_object && current_ == &error) {
    code = {};
    message = {};
    level_ = Level::error;
  } else if (level_ == Level::envelope && is_object && (is_at(result) || is_at(params))) {
    body_ = is_at(result) ? &result : &params;
    // The last of two counts, and nothing of the first.
    if (body_->end != 0) *body_ = {};
    body_->self.kind = kind;
    body_->begin = at;
    level_ = Level::body;
  } else if (level_ == Level::body && !is_object &&
             current_ == &body_->fields[static_cast<std::size_t>(Field::resumed)]) {
    body_->resumed.clear();
    body_->is_resumed_wrong = false;
    level_ = Level::resumed;
  } else {
    return false;
  }
  return true;
}

void AnswerSink::open(Kind kind, std::size_t at) {
  if (skipped_ > 0) {
    ++skipped_;
    return;
  }
  if (level_ == Level::resumed) {
    body_->is_resumed_wrong = true;
    skipped_ = 1;
    return;
  }
  *current_ = {};
  current_->kind = kind;
  if (!enter(kind, at)) skipped_ = 1;
}

void AnswerSink::close(std::size_t end) {
  if (skipped_ > 0) {
    --skipped_;
    return;
  }
  if (level_ == Level::body) body_->end = end;
  level_ = level_ == Level::resumed                          ? Level::body
           : level_ == Level::body || level_ == Level::error ? Level::envelope
                                                             : Level::outside;
}

// --- an answer from it ---

/// Takes members out of a body. None of them has bounds of its own: what an arbiter says counts.
class FieldReader {
 public:
  explicit FieldReader(const Body& body) : body_(body) {}

  template <typename T>
  void whole(Field field, std::int64_t high, T* out) {
    const JsonValue* value = find(field);
    if (value == nullptr) return;
    if (!value->is(Kind::whole) || value->whole < 0 || value->whole > high) {
      failed_ = true;
    } else {
      *out = static_cast<T>(value->whole);
    }
  }
  void boolean(Field field, std::optional<bool>* out) {
    const JsonValue* value = find(field);
    if (value == nullptr) return;
    failed_ = failed_ || !value->is(Kind::boolean);
    *out = value->flag;
  }
  void text(Field field, std::string* out) {
    const JsonValue* value = find(field);
    if (value == nullptr) return;
    if (value->is(Kind::text)) {
      *out = value->text();
    } else {
      failed_ = true;
    }
  }
  void resumed(std::vector<std::uint64_t>* out) {
    const JsonValue* value = find(Field::resumed);
    if (value == nullptr) return;
    failed_ = failed_ || !value->is(Kind::list) || body_.is_resumed_wrong;
    *out = body_.resumed;
  }
  [[nodiscard]] bool failed() const { return failed_; }

 private:
  [[nodiscard]] const JsonValue* find(Field field) const {
    const JsonValue& value = body_.fields[static_cast<std::size_t>(field)];
    return value.is(Kind::missing) ? nullptr : &value;
  }

  const Body& body_;
  bool failed_ = false;
};

bool take_fields(const Body& body, Answer* answer) {
  FieldReader fields(body);
  fields.whole(Field::lease, kMaxNumber, &answer->lease);
  fields.whole(Field::slots, INT_MAX, &answer->slots);
  fields.whole(Field::paid, INT_MAX, &answer->paid);
  fields.boolean(Field::watched, &answer->watched);
  fields.boolean(Field::cancelled, &answer->cancelled);
  fields.whole(Field::session, kMaxNumber, &answer->session);
  fields.text(Field::server, &answer->server);
  fields.whole(Field::protocol, INT_MAX, &answer->protocol);
  fields.text(Field::epoch, &answer->epoch);
  fields.resumed(&answer->resumed);
  fields.text(Field::reason, &answer->reason);
  fields.whole(Field::deadline_ms, kMaxNumber, &answer->deadline_ms);
  return !fields.failed();
}

bool take_result(std::string_view line, const AnswerSink& sink, Answer* answer) {
  std::optional<CallId> id = to_id(sink.id);
  if (!id || !sink.result.self.is(Kind::object)) return false;
  answer->kind = Answer::Kind::result;
  answer->id = std::move(*id);
  answer->body = line.substr(sink.result.begin, sink.result.end - sink.result.begin);
  return take_fields(sink.result, answer);
}

bool take_error(const AnswerSink& sink, Answer* answer) {
  if (std::optional<CallId> id = to_id(sink.id)) {
    answer->id = std::move(*id);
  } else if (!sink.id.is(Kind::null)) {
    return false;
  }
  const bool right = sink.error.is(Kind::object) && sink.code.is(Kind::whole) &&
                     sink.code.whole >= INT32_MIN && sink.code.whole <= INT32_MAX &&
                     (sink.message.is(Kind::text) || sink.message.is(Kind::missing));
  if (!right) return false;
  answer->kind = Answer::Kind::error;
  answer->code = static_cast<ErrorCode>(sink.code.whole);
  if (sink.message.is(Kind::text)) answer->message = sink.message.text();
  return true;
}

bool take_notification(std::string_view line, const AnswerSink& sink, Answer* answer) {
  const Body& params = sink.params;
  // Whoever sends an id waits for an answer, which a client has for nobody.
  if (!sink.id.is(Kind::missing) || !sink.method.is(Kind::text)) return false;
  answer->kind = Answer::Kind::notification;
  answer->method = sink.method.text();
  answer->body = "{}";
  if (params.self.is(Kind::missing)) return true;
  if (!params.self.is(Kind::object)) return false;
  answer->body = line.substr(params.begin, params.end - params.begin);
  const std::string& method = answer->method;
  const bool is_known = method == "event" || method == "recall" || method == "revoke";
  return !is_known || take_fields(params, answer);
}

}  // namespace

std::optional<Answer> parse_answer(std::string_view line) {
  JsonText text(line);
  AnswerSink sink;
  if (text.parse(&sink) || !sink.root.is(Kind::object)) return std::nullopt;
  if (!sink.version.is(Kind::text) || sink.version.text() != "2.0") return std::nullopt;
  const bool has_result = !sink.result.self.is(Kind::missing);
  const bool has_error = !sink.error.is(Kind::missing);
  const bool has_method = !sink.method.is(Kind::missing);
  if (int{has_result} + int{has_error} + int{has_method} != 1) return std::nullopt;

  std::optional<Answer> answer(std::in_place);
  const bool right = has_result  ? take_result(line, sink, &*answer)
                     : has_error ? take_error(sink, &*answer)
                                 : take_notification(line, sink, &*answer);
  if (!right) answer.reset();
  return answer;
}

}  // namespace tokenpool::wire
