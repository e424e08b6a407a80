#include "cli/command_line.h"

#include <algorithm>
#include <charconv>
#include <system_error>
#include <utility>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "cli/suggest.h"

namespace tokenpool::cli {
namespace {

std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) names.push_back("-" + name);
  }
  return names;
}

/// Of `words` the one that gives a switch a value; nothing: there is none.
std::optional<std::string> switch_with_value(const CLI::App& app,
                                             const std::vector<std::string>& words) {
  const auto found = std::find_if(words.begin(), words.end(), [&](const std::string& word) {
    const auto* option = app.get_option_no_throw(word.substr(0, word.find('=')));
    return word.find('=') != std::string::npos && option != nullptr &&
           option->get_disable_flag_override();
  });
  return found == words.end() ? std::nullopt : std::optional(*found);
}

}  // namespace

tl::unexpected<wire::Error> usage(std::string sentence) {
  return tl::make_unexpected(wire::Error{2, std::move(sentence)});
}

std::string see_help(std::string_view command) {
  return "; see tokenpool " + std::string(command) + " --help";
}

std::string unknown_option(std::string_view command, const std::string& word,
                           const std::vector<std::string>& known) {
  const std::string name = word.substr(0, word.find('='));
  const std::string near = name.starts_with("--") ? nearest(name, known) : std::string();
  return word + ": no such option" + (near.empty() ? "" : " (the nearest is " + near + ")") +
         see_help(command);
}

std::string unknown_option(const CLI::App& app, std::string_view command, const std::string& word) {
  return unknown_option(command, word, option_names(app));
}

std::optional<std::int64_t> number_of(std::string_view text) {
  std::int64_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || stop != text.data() + text.size()) return std::nullopt;
  return value;
}

void add_switch(CLI::App* app, const std::string& names, bool* is_on) {
  app->add_flag(names, *is_on)->disable_flag_override();
}

wire::Result<std::vector<std::string>> parse_words(CLI::App* app, std::string_view command,
                                                   const std::vector<std::string>& words) {
  std::vector<std::string> reversed(words.rbegin(), words.rend());  // the order that CLI11 wants
  try {
    app->parse(reversed);
  } catch (const CLI::ArgumentMismatch&) {
    if (const auto word = switch_with_value(*app, words)) {
      return usage(*word + ": it takes no value, leave it out" + see_help(command));
    }
    return usage((words.empty() ? "" : words.back()) + ": a value must follow" + see_help(command));
  } catch (const CLI::ParseError& error) {
    return usage(std::string(error.what()) + see_help(command));
  }
  return app->remaining();
}

}  // namespace tokenpool::cli
