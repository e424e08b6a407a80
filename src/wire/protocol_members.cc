#include "wire/protocol_members.h"

#include <algorithm>
#include <string>

#include "wire/limits.h"

namespace tokenpool::wire {
namespace {

using Kind = JsonValue::Kind;

// A table without collisions, as the compiler checks: each key of a request is looked up in it.
constexpr std::size_t kPlaces = 64;

constexpr std::size_t place_in_table(std::string_view name) {
  const auto first = static_cast<unsigned char>(name.front());
  const auto last = static_cast<unsigned char>(name.back());
  return (name.size() + first * 2U + last * 18U) % kPlaces;
}

struct Table {
  std::array<Member, kPlaces> places{};
  bool is_perfect = true;
};

constexpr Table make_table() {
  Table table;
  table.places.fill(Member::unknown);
  for (std::size_t i = 0; i < kMembers; ++i) {
    Member& place = table.places[place_in_table(kMemberNames[i])];
    table.is_perfect = table.is_perfect && place == Member::unknown;
    place = static_cast<Member>(i);
  }
  return table;
}

constexpr Table kTable = make_table();
static_assert(kTable.is_perfect,
              "two names in one place: choose other factors for place_in_table()");

bool is_type_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.' || c == '-';
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20; });
}

}  // namespace

Member member_of(std::string_view name) {
  if (name.empty()) return Member::unknown;
  const Member member = kTable.places[place_in_table(name)];
  return member != Member::unknown && name_of(member) == name ? member : Member::unknown;
}

std::optional<CallId> to_id(const JsonValue& value) {
  if (value.is(Kind::whole) && value.whole >= 0 && value.whole <= kMaxNumber) {
    return CallId(value.whole);
  }
  if (value.is(Kind::text) && value.size >= 1 && value.size <= kMaxIdBytes) {
    return CallId(std::string(value.text()));
  }
  return std::nullopt;
}

bool is_type(std::string_view text) {
  return !text.empty() && text.size() <= kMaxTypeBytes &&
         std::all_of(text.begin(), text.end(), is_type_character);
}

void MemberReader::fail(Member member, std::string_view rule) {
  if (failed()) return;
  fault_ = name_of(member);
  fault_ += ": ";
  fault_ += rule;
}

void MemberReader::wrong_whole(Member member, std::int64_t low, std::int64_t high) {
  fail(member, "a whole number from " + std::to_string(low) + " to " + std::to_string(high));
}

void MemberReader::require(Member member) {
  if (!has(member)) fail(member, "is missing");
}

void MemberReader::boolean(Member member, bool* out) {
  const JsonValue& value = members_[member];
  if (value.is(Kind::missing)) return;
  if (!value.is(Kind::boolean)) return fail(member, "true or false");
  *out = value.flag;
}

void MemberReader::seconds(Member member, double* out) {
  const JsonValue& value = members_[member];
  if (value.is(Kind::missing)) return;
  const bool whole = value.is(Kind::whole);
  if (!whole && !value.is(Kind::huge) && !value.is(Kind::number)) {
    return fail(member, "a number, 0 or more");
  }
  const double seconds = whole ? static_cast<double>(value.whole) : value.number;
  if (seconds < 0) return fail(member, "a number, 0 or more");
  *out = seconds;
}

void MemberReader::text(Member member, std::size_t low, std::size_t high, std::string* out) {
  const JsonValue& value = members_[member];
  if (value.is(Kind::missing)) return;
  if (!value.is(Kind::text) || value.size < low || value.size > high || has_control(value.text())) {
    return fail(member, "a text of " + std::to_string(low) + " to " + std::to_string(high) +
                            " bytes without control characters");
  }
  *out = value.text();
}

void MemberReader::type(Member member, std::string* out) {
  const JsonValue& value = members_[member];
  if (value.is(Kind::missing)) return;
  if (!value.is(Kind::text) || !is_type(value.text())) {
    return fail(member, "1 to 32 of A-Z a-z 0-9 _ . -");
  }
  *out = value.text();
}

}  // namespace tokenpool::wire
