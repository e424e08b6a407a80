#include "cli/help.h"

#include <array>

#include "cli/terminal.h"
#include "core/limits.h"

namespace tokenpool::cli {
namespace {

/// A line of `text` that begins with a capital at column 0 and ends in ':' is a heading.
struct Page {
  std::string_view command;
  std::string_view text;
};

constexpr std::array<Page, 4> kPages{{
    {"", R"page(tokenpool hands out build slots and never loses one.

Usage:
  tokenpool run [OPTION]... [--] CMD [ARG]...   run a build under one pool of slots
  tokenpool doctor [--json]                     what this machine and its tools can do
  tokenpool env [--json]                        the variables of the surrounding pool, for a shell
  tokenpool help [COMMAND]                      this text, or that of a command
  tokenpool --version

Examples:
  tokenpool run make                 as many jobs as this process may use CPUs
  tokenpool run -j 8 ninja all
  tokenpool doctor

Each command explains itself: tokenpool COMMAND --help. See also tokenpool(1).
)page"},
    {"run",
     R"page(tokenpool run runs a build under one pool of slots: make, ninja, cargo, ctest and
whatever they start, in any mixture, share it, and what a killed process held comes back.

Usage:
  tokenpool run [OPTION]... [--] CMD [ARG]...

Options (they end where CMD begins; given twice, the last one counts):
  -j N|auto                 slots of the pool, 1-512: that many jobs run at once; auto is as many
                            as this process may use CPUs (default: auto)
  --track auto|exact|infer  how the holders of tokens are known. exact: the kernel reports each
                            token call; infer: by counting; auto: exact where the kernel
                            offers it, else infer (default: auto)
  --shims on|off            put a folder first on PATH in which make, ninja, ctest and cmake adjust
                            their flags and execute the real tool (default: on)
  --report FILE             write what became of the tokens to FILE, as JSON (default: none)
  -q                        no closing line on stderr (default: one when there is something to say)
  -h, --help                this text

Examples:
  tokenpool run make                                 a slot for every CPU
  tokenpool run -j 4 -- cmake --build out            cmake, and the make or ninja below it
  tokenpool run --report tokens.json -q cargo test   quietly, with a report

Exit status:
  the status of CMD, 128 + the signal when a signal ended it;
  2 bad usage, 125 a failure of tokenpool, 126 CMD cannot be executed, 127 CMD was not found

Standard input, output and error are CMD's; tokenpool itself writes to standard error only.
See also tokenpool-run(1).
)page"},
    {"doctor",
     R"page(tokenpool doctor shows what this machine offers, how tokenpool run will track tokens
here and why, and what would make a build tool on PATH leave the pool.

Usage:
  tokenpool doctor [--json]

Options:
  --json      one JSON object; its keys are documented in tokenpool-doctor(1) (default: text)
  -h, --help  this text

Examples:
  tokenpool doctor
  tokenpool doctor --json | jq .tracking
  tokenpool run tokenpool doctor        what it looks like inside of a build

Exit status:
  0 all is well: tracking is exact, or a pool is around it already, and the tools stay in the pool
  1 something needs attention; 2 bad usage
)page"},
    {"env",
     R"page(tokenpool env prints, as shell commands, the variables of the pool that surrounds it,
for a shell below tokenpool run that lost them.

Usage:
  tokenpool env [--json]

Options:
  --json      one JSON object instead of shell commands (default: shell commands)
  -h, --help  this text

Examples:
  eval "$(tokenpool env)"
  tokenpool env --json | jq -r .set.MAKEFLAGS
  tokenpool env > pool.sh               then, in another shell of the same build: . ./pool.sh

Exit status:
  0 printed; 1 no pool surrounds this process; 2 bad usage
)page"},
}};

bool is_heading(std::string_view line) {
  return !line.empty() && line.front() >= 'A' && line.front() <= 'Z' && line.back() == ':';
}

}  // namespace

std::string_view version() { return TOKENPOOL_VERSION; }

const std::vector<std::string>& command_names() {
  static const std::vector<std::string> names{"run", "doctor", "env", "help"};
  return names;
}

std::string help_text(std::string_view command, bool colour) {
  static_assert(core::kMaxSlots == 512, "the text of run says 1-512");
  std::string answer;
  for (const Page& page : kPages) {
    if (page.command != command) continue;
    for (std::string_view rest = page.text; !rest.empty();) {
      const std::string_view line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(line.size() + 1);
      answer += styled(line, is_heading(line) ? Style::heading : Style::plain, colour);
      answer += '\n';
    }
  }
  return answer;
}

}  // namespace tokenpool::cli
