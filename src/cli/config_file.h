// Configuration files in TOML. Their keys are named as options are, their values are the words that
// the options take. Pure: whoever reads a file decides whom he trusts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "wire/error.h"

namespace tokenpool::cli {

/// What may stand behind a key, and the words that it becomes.
enum class ConfigValue : std::uint8_t {
  number_or_text,
  text,
  flag,          ///< true: "on", false: "off"
  flag_or_text,  ///< likewise, or the text
  list,          ///< of texts, a word each
  numbers,       ///< a table: TYPE=N for each entry
};

struct ConfigKey {
  std::string_view name;
  ConfigValue value = ConfigValue::text;
  std::string_view give;  ///< what a user is to give: "a file name"
};

struct ConfigText {
  std::string file;  ///< its path, for people
  std::string text;
};

struct ConfigEntry {
  std::string key;
  std::size_t line = 0;  ///< from 1
  std::vector<std::string> words;
  friend bool operator==(const ConfigEntry&, const ConfigEntry&) = default;
};

/// Which part of a file is read; the rest is another command's.
struct ConfigPart {
  bool top = true;                       ///< what stands in no table
  std::string_view table{};              ///< and what stands in [table], if any
  std::vector<std::string_view> others;  ///< tables that others read
};

/// The entries of that part, all of which `keys` know. Error 2 names file, line and key, and what
/// to give: it is no TOML, there is no such key (where the file has keys of others only in tables),
/// or the value has the wrong type.
wire::Result<std::vector<ConfigEntry>> parse_config(const ConfigText& text, const ConfigPart& part,
                                                    const std::vector<ConfigKey>& keys);

/// What is wrong with the value of `entry`, as the option of the same name would say it in
/// `sentence`; the option's own name is left out.
wire::Error wrong_entry(const ConfigText& text, const ConfigEntry& entry,
                        const std::string& sentence);

/// `sentence`, which tells what is wrong with an option, without the option: it begins with the
/// value. "--track fast: no such choice" is "fast: no such choice".
std::string without_option(const std::string& sentence);

}  // namespace tokenpool::cli
