#include "cli/command_line.h"

#include <algorithm>
#include <charconv>
#include <sstream>
#include <system_error>
#include <utility>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "cli/suggest.h"

namespace tokenpool::cli {
namespace {

std::vector<std::string> names_of(const std::vector<CommandOption>& options) {
  std::vector<std::string> names;
  for (const CommandOption& option : options) {
    std::istringstream list(option.names);
    for (std::string name; std::getline(list, name, ',');) names.push_back(name);
  }
  return names;
}

void add(CLI::App* app, const CommandOption& option) {
  if (!option.bare.empty()) {
    app->add_flag(option.names + "{" + option.bare + "}", *std::get<std::string*>(option.target));
  } else if (bool* const* is_on = std::get_if<bool*>(&option.target)) {
    app->add_flag(option.names, **is_on)->disable_flag_override();
  } else if (auto* const* list = std::get_if<std::vector<std::string>*>(&option.target)) {
    app->add_option(option.names, **list)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  } else if (std::string* const* text = std::get_if<std::string*>(&option.target)) {
    app->add_option(option.names, **text);
  } else {
    app->add_option(option.names, *std::get<std::optional<std::string>*>(option.target));
  }
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

std::string unknown_option(std::string_view command, const std::string& word,
                           const std::vector<CommandOption>& known) {
  return unknown_option(command, word, names_of(known));
}

std::optional<std::int64_t> number_of(std::string_view text) {
  std::int64_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || stop != text.data() + text.size()) return std::nullopt;
  return value;
}

wire::Result<std::vector<std::string>> parse_words(std::string_view command,
                                                   const std::vector<CommandOption>& options,
                                                   const std::vector<std::string>& words) {
  CLI::App app;
  app.set_help_flag();  // its own would throw, and would take the --help of CMD
  app.prefix_command();
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  for (const CommandOption& option : options) add(&app, option);
  std::vector<std::string> reversed(words.rbegin(), words.rend());  // the order that CLI11 wants
  try {
    app.parse(reversed);
  } catch (const CLI::ArgumentMismatch&) {
    if (const auto word = switch_with_value(app, words)) {
      return usage(*word + ": it takes no value, leave it out" + see_help(command));
    }
    return usage((words.empty() ? "" : words.back()) + ": a value must follow" + see_help(command));
  } catch (const CLI::ParseError& error) {
    return usage(std::string(error.what()) + see_help(command));
  }
  return app.remaining();
}

}  // namespace tokenpool::cli
