#include "cli/status_options.h"

#include <algorithm>
#include <utility>

#include "cli/command_line.h"

namespace tokenpool::cli {
namespace {

class Reader {
 public:
  Reader(std::string_view command, const std::vector<std::string>& words)
      : command_(command), words_(words) {
    if (command == "status" || command == "env")
      flags_.emplace_back("--json", &StatusOptions::json);
    if (command == "status") flags_.emplace_back("--watch", &StatusOptions::watch);
    if (command == "status") flags_.emplace_back("--all", &StatusOptions::all);
  }

  wire::Result<StatusOptions> read() {
    while (at_ < words_.size()) {
      const std::string& word = words_[at_++];
      const bool is_option = !only_words_ && word.size() > 1 && word.front() == '-';
      const auto done = is_option ? read_option(word) : read_word(word);
      if (!done) return tl::make_unexpected(done.error());
      if (options_.help) return options_;
    }
    if (options_.server.run && options_.server.server) {
      return usage("--server and the name of a run: give one of them");
    }
    return std::move(options_);
  }

 private:
  wire::Result<void> read_word(const std::string& word) {
    if (command_ == "set") {
      options_.words.push_back(word);
      return {};
    }
    if (command_ == "env") return usage(word + ": it takes no arguments" + see_help(command_));
    if (word.empty()) return usage("'': an empty name; is a variable unset?");
    if (options_.server.run) {
      return usage(word + ": one run can be named, and " + *options_.server.run + " is" +
                   see_help(command_));
    }
    options_.server.run = word;
    return {};
  }

  wire::Result<void> read_option(const std::string& word) {
    const std::size_t equals = std::min(word.find('='), word.size());
    const std::string name = word.substr(0, equals);
    if (word == "--") {
      only_words_ = true;
      return {};
    }
    if (name == "--server" || name == "--cookie-file" || name == "--run") {
      return read_value(name, equals, word);
    }
    bool* flag = nullptr;
    if (name == "-h" || name == "--help") flag = &options_.help;
    for (const auto& [known, member] : flags_) {
      if (name == known) flag = &(options_.*member);
    }
    if (flag == nullptr) return usage(unknown_option(command_, name, known_options()));
    if (equals < word.size()) return usage(name + ": it takes no value, leave it out");
    *flag = true;
    return {};
  }

  wire::Result<void> read_value(const std::string& name, std::size_t equals,
                                const std::string& word) {
    std::string value;
    if (equals < word.size()) {
      value = word.substr(equals + 1);
    } else if (at_ < words_.size()) {
      value = words_[at_++];
    } else {
      return usage(name + ": a value must follow" + see_help(command_));
    }
    if (value.empty()) return usage(name + " '': an empty value; is a variable unset?");
    if (name == "--cookie-file") {
      options_.server.cookie_file = std::move(value);
      return {};
    }
    if (name == "--run") {
      options_.server.run = std::move(value);
      return {};
    }
    auto address = parse_server(value);
    if (!address) return usage("--server: " + address.error().sentence);
    options_.server.server = *std::move(address);
    return {};
  }

  [[nodiscard]] std::vector<std::string> known_options() const {
    std::vector<std::string> known{"--server", "--run", "--cookie-file", "--help"};
    for (const auto& [flag, member] : flags_) known.push_back(flag);
    return known;
  }

  std::string_view command_;
  const std::vector<std::string>& words_;
  std::vector<std::pair<std::string, bool StatusOptions::*>> flags_;
  std::size_t at_ = 0;
  bool only_words_ = false;
  StatusOptions options_;
};

}  // namespace

wire::Result<StatusOptions> parse_status_options(std::string_view command,
                                                 const std::vector<std::string>& words) {
  return Reader(command, words).read();
}

}  // namespace tokenpool::cli
