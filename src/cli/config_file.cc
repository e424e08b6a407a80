#include "cli/config_file.h"

#include <algorithm>
#include <optional>

#include <toml++/toml.h>

#include "cli/command_line.h"
#include "cli/suggest.h"

namespace tokenpool::cli {
namespace {

using EntryWords = std::optional<std::vector<std::string>>;

wire::Error wrong_place(const ConfigText& text, std::size_t line, const std::string& what) {
  return {2, "the configuration " + text.file + ", line " + std::to_string(line) + ": " + what};
}

EntryWords one(std::optional<std::string> word) {
  if (!word) return std::nullopt;
  return std::vector{std::move(*word)};
}

EntryWords number_or_text(const toml::node& value) {
  if (const auto number = value.value_exact<std::int64_t>()) return one(std::to_string(*number));
  if (const auto number = value.value_exact<double>()) {
    std::string digits = std::to_string(*number);  // six decimals
    digits.erase(digits.find_last_not_of('0') + 1);
    if (digits.back() == '.') digits.pop_back();
    return one(std::move(digits));
  }
  return one(value.value_exact<std::string>());
}

EntryWords flag(const toml::node& value) {
  const auto is_on = value.value_exact<bool>();
  if (!is_on) return std::nullopt;
  return one(*is_on ? "on" : "off");
}

EntryWords texts_of(const toml::node& value) {
  const auto* list = value.as_array();
  if (list == nullptr) return std::nullopt;
  std::vector<std::string> words;
  for (const toml::node& element : *list) {
    auto text = element.value_exact<std::string>();
    if (!text) return std::nullopt;
    words.push_back(std::move(*text));
  }
  return words;
}

EntryWords numbers_of(const toml::node& value) {
  const auto* table = value.as_table();
  if (table == nullptr) return std::nullopt;
  std::vector<std::string> words;
  for (const auto& [type, limit] : *table) {
    const auto number = limit.value_exact<std::int64_t>();
    if (!number) return std::nullopt;
    words.push_back(std::string(type.str()) + "=" + std::to_string(*number));
  }
  return words;
}

EntryWords words_of(const toml::node& value, ConfigValue kind) {
  switch (kind) {
    case ConfigValue::number_or_text:
      return number_or_text(value);
    case ConfigValue::text:
      return one(value.value_exact<std::string>());
    case ConfigValue::flag:
      return flag(value);
    case ConfigValue::flag_or_text: {
      auto word = flag(value);
      return word ? word : one(value.value_exact<std::string>());
    }
    case ConfigValue::list:
      return texts_of(value);
    case ConfigValue::numbers:
      return numbers_of(value);
  }
  return std::nullopt;
}

std::string expected_of(const toml::node& value, const ConfigKey& known) {
  const auto* table = known.value == ConfigValue::numbers ? value.as_table() : nullptr;
  if (table == nullptr) return std::string(known.give);
  for (const auto& [type, limit] : *table) {
    if (!limit.is_integer()) return "a number for " + std::string(type.str());
  }
  return std::string(known.give);
}

std::string no_such_key(const std::string& key, const std::vector<ConfigKey>& keys) {
  std::vector<std::string> names;
  std::string all;
  for (const ConfigKey& known : keys) {
    names.emplace_back(known.name);
    all += (all.empty() ? "" : ", ") + std::string(known.name);
  }
  const std::string near = nearest(key, names);
  if (!near.empty()) return key + ": no such key (the nearest is " + near + ")";
  return key + ": no such key; there are " + all;
}

class EntryReader {
 public:
  EntryReader(const ConfigText& text, const std::vector<ConfigKey>& keys)
      : text_(text), keys_(keys) {}

  /// All of `table` but the tables of those names.
  wire::Result<void> read(const toml::table& table, const std::vector<std::string_view>& but) {
    for (const auto& [name, value] : table) {
      const std::string key(name.str());
      if (value.is_table() && std::ranges::find(but, key) != but.end()) continue;
      const std::size_t line = value.source().begin.line;
      const auto known = std::ranges::find(keys_, key, &ConfigKey::name);
      if (known == keys_.end()) {
        return tl::unexpected(wrong_place(text_, line, no_such_key(key, keys_)));
      }
      auto words = words_of(value, known->value);
      if (!words) {
        return tl::unexpected(
            wrong_place(text_, line, key + ": give " + expected_of(value, *known)));
      }
      entries_.push_back({key, line, std::move(*words)});
    }
    return {};
  }
  std::vector<ConfigEntry> take() { return std::move(entries_); }

 private:
  const ConfigText& text_;
  const std::vector<ConfigKey>& keys_;
  std::vector<ConfigEntry> entries_;
};

wire::Result<std::vector<ConfigEntry>> read_part(const toml::table& root, const ConfigText& text,
                                                 const ConfigPart& part,
                                                 const std::vector<ConfigKey>& keys) {
  EntryReader reader(text, keys);
  if (part.top) {
    std::vector<std::string_view> but = part.others;
    if (!part.table.empty()) but.push_back(part.table);
    if (auto read = reader.read(root, but); !read) return tl::unexpected(read.error());
  }
  const auto* table = part.table.empty() ? nullptr : root[part.table].as_table();
  if (table != nullptr) {
    if (auto read = reader.read(*table, {}); !read) return tl::unexpected(read.error());
  }
  return reader.take();
}

}  // namespace

wire::Result<std::vector<ConfigEntry>> parse_config(const ConfigText& text, const ConfigPart& part,
                                                    const std::vector<ConfigKey>& keys) {
  try {
    return read_part(toml::parse(text.text), text, part, keys);
  } catch (const toml::parse_error& error) {
    return tl::unexpected(
        wrong_place(text, error.source().begin.line, std::string(error.description())));
  }
}

wire::Error wrong_entry(const ConfigText& text, const ConfigEntry& entry,
                        const std::string& sentence) {
  return wrong_place(text, entry.line, entry.key + ": " + without_option(sentence));
}

std::string without_option(const std::string& sentence) {
  if (!sentence.starts_with('-')) return sentence;
  const std::size_t end = sentence.find_first_of(" =");
  return end == std::string::npos ? sentence : sentence.substr(end + 1);
}

}  // namespace tokenpool::cli
