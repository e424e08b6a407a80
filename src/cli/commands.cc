#include "cli/commands.h"

#include <array>
#include <cstdio>
#include <string_view>

#include "cli/doctor.h"
#include "cli/env.h"
#include "cli/exec.h"
#include "cli/help.h"
#include "cli/run.h"
#include "cli/serve.h"
#include "cli/set.h"
#include "cli/status.h"
#include "cli/suggest.h"
#include "cli/terminal.h"

namespace tokenpool::cli {
namespace {

int help(const std::vector<std::string>& words);

struct Command {
  std::string_view name;
  int (*run)(const std::vector<std::string>& words);
};

constexpr std::array<Command, 10> kCommands{{{"run", run},
                                             {"serve", serve},
                                             {"exec", exec},
                                             {"status", status},
                                             {"set", set},
                                             {"pause", pause},
                                             {"resume", resume},
                                             {"doctor", doctor},
                                             {"env", env},
                                             {"help", help}}};

int unknown_command(const std::string& word, const std::string& otherwise) {
  const bool option = word.starts_with('-');
  std::vector<std::string> known = command_names();
  if (option) known = {"--version", "--help"};
  // As one calls make.
  if (word.starts_with("-j") || word.starts_with("--jobs")) {
    return fail("", {2, word + ": no such option; to run a build: tokenpool run " + word + " CMD"});
  }
  const std::string near = nearest(word, known);
  return fail("", {2, word + ": no such " + (option ? "option" : "command") +
                          (near.empty() ? otherwise : " (the nearest is " + near + ")") +
                          "; see tokenpool --help"});
}

int help(const std::vector<std::string>& words) {
  const std::string command = words.empty() ? "" : words.front();
  const bool itself = command == "help" || command == "--help" || command == "-h";
  const std::string text = help_text(itself ? "" : command, use_colour(stdout));
  if (text.empty()) return unknown_command(command, "");
  return print(stdout, text) ? 0 : 1;
}

}  // namespace

int dispatch(const std::vector<std::string>& words) {
  if (words.empty()) {
    print(stderr, help_text("", use_colour(stderr)));
    return 2;
  }
  const std::string& first = words.front();
  if (first == "--version")
    return print(stdout, "tokenpool " + std::string(version()) + "\n") ? 0 : 1;
  if (first == "--help" || first == "-h") return help({});
  for (const Command& command : kCommands) {
    if (command.name == first) return command.run({words.begin() + 1, words.end()});
  }
  return unknown_command(
      first, first.starts_with('-') ? "" : " (to run a build: tokenpool run " + first + ")");
}

}  // namespace tokenpool::cli
