#include "cli/help.h"

#include <array>

#include "cli/terminal.h"
#include "core/limits.h"
#include "wire/version.h"

namespace tokenpool::cli {
namespace {

/// A line of `text` that begins with a capital at column 0 and ends in ':' is a heading.
struct HelpPage {
  std::string_view command;
  std::string_view text;
};

constexpr std::array<HelpPage, 10> kPages{{
    {"", R"page(tokenpool hands out build slots and never loses one.

Usage:
  tokenpool run [OPTION]... [--] CMD [ARG]...   run a build under one pool of slots
  tokenpool serve [OPTION]...                   an arbiter that stands alone
  tokenpool exec [OPTION]... [--] CMD [ARG]...  run one command on slots of the surrounding pool
  tokenpool status [--watch] [RUN]              what runs, who holds slots, and who waits for them
  tokenpool set KEY=VALUE...                    change the number of slots, or the limits of types
  tokenpool pause [RUN]                         grant nothing new until tokenpool resume
  tokenpool resume [RUN]                        grant again
  tokenpool doctor [-v] [--json]                what this machine and its tools can do
  tokenpool env [--json] [--server ADDR]        the variables of a pool, for a shell
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

Options (they end where CMD begins; given twice, the last one counts, but for --listen, --limit):
  -j N|MIN-MAX|cpus|auto    slots of the pool, 1-512: that many jobs run at once; MIN-MAX: as many
                            within it as keep the CPUs busy; cpus: as many as this process may
                            use CPUs, also cpus-1 or 50%; auto: 1 to three for each of them
                            (default: cpus). --jobs is the same
  --track auto|exact|infer  how the holders of tokens are known. exact: the kernel reports each
                            token call; infer: by counting; auto: exact where the kernel
                            offers it, else infer (default: auto)
  --shims on|off            put a folder first on PATH in which make, ninja, ctest and cmake adjust
                            their flags and execute the real tool (default: on)
  --standstill SECONDS|off  one slot more when all are taken and nothing of the build moves for
                            so long (default: 5)
  --wrap[=NAME,...]         each call of a compiler or linker is a job of the pool, whoever starts
                            it: for tools that know no jobserver. NAMEs alone, or +NAME and -NAME
                            beside those that are known (default: off)
  --limit TYPE=N            at most N jobs of that type at one time, as often as needed: compile and
                            link are the types of --wrap, exec --type names others (default: none)
  --enforce                 while there are fewer slots than are in use, the youngest jobs stand
                            still (default: jobs that run are let alone)
  --listen tcp:HOST:PORT    answer clients of the protocol there, too, beside the run's own Unix
                            socket; port 0: any that is free (default: none)
  --allow-remote            let --listen name an address that is not loopback (default: refuse it)
  --die-with-parent         end the build when the process that started this one ends
  --end-leftovers           when CMD has ended, end what it has left running, daemons too
  --nice N                  the build yields to others, its niceness is at least N, 0-19
  --report FILE             write what became of the tokens to FILE, as JSON (default: none)
  -q                        no closing line on stderr, and none about processes that ignore the
                            pool or jobs that stand still (default: lines when there is
                            something to say)
  -h, --help                this text

Examples:
  tokenpool run make                                 a slot for every CPU
  tokenpool run -j 4 -- cmake --build out            cmake, and the make or ninja below it
  tokenpool run --wrap scons -j 100                  scons knows no jobserver, its compilers obey
  tokenpool run --report tokens.json -q cargo test   quietly, with a report

Exit status:
  the status of CMD, 128 + the signal when a signal ended it;
  2 bad usage, 125 a failure of tokenpool, 126 CMD cannot be executed, 127 CMD was not found

Standard input, output and error are CMD's; tokenpool itself writes to standard error only.
Options that are not given: TOKENPOOL_JOBS and the like, .tokenpool.toml of the project (it may only
narrow), ~/.config/tokenpool/config.toml; see tokenpool-config(5). See also tokenpool-run(1).
)page"},
    {"serve",
     R"page(tokenpool serve is an arbiter that stands alone: builds, shells and containers that have
its address and its cookie share its slots.

Usage:
  tokenpool serve [OPTION]...

Options (given twice, the last one counts, but for --listen and --limit):
  -j SLOTS            N, 1-512; MIN-MAX: as many within it as keep the CPUs busy; cpus: as many as
                      this process may use CPUs, also cpus-1 or 50%; auto: 1 to three for each
                      (default: cpus). --jobs is the same
  --listen ADDR       unix:/path or tcp:HOST:PORT, as often as needed (default: unix: and
                      $XDG_RUNTIME_DIR/tokenpool/socket, /run/tokenpool/socket for root)
  --limit TYPE=N      at most N jobs of that type at one time, as often as needed (default: none)
  --cookie-file FILE  where the cookie is kept (default: beside the first Unix socket, PATH.cookie)
  --allow-remote      let --listen name an address that is not loopback (default: refuse it)
  --standstill SECONDS|off  one slot more when somebody waits and nobody who holds a lease moves
                      for so long; a line says who (default: 5)
  --config FILE       read the rest from a TOML file: jobs, listen, limits, cookie_file,
                      standstill, allow_remote
  -q                  no line about what is served (default: one)
  -h, --help          this text

Examples:
  tokenpool serve -j 8 --limit link=2
  eval "$(tokenpool env --server unix:/run/tokenpool/socket)"    in the shell of a build
  tokenpool serve --listen unix:/run/ci/socket --listen tcp:127.0.0.1:7777

Signals: HUP reads --config again; TERM and INT let leases end and grant nothing new, a second one
ends at once.

Exit status:
  0 ended by a signal; 2 bad usage; 125 it cannot serve
)page"},
    {"exec",
     R"page(tokenpool exec asks the surrounding pool for slots, runs CMD when it has them and gives
them back when CMD ends. Put in front of a command it makes xargs, bazel or an old ninja obey
the pool.

Usage:
  tokenpool exec [OPTION]... [--] CMD [ARG]...

Options (they end where CMD begins; given twice, the last one counts):
  --slots N|MIN-MAX   slots that CMD uses, 1-512; of a range, as many as are its share (default: 1)
  --type TYPE         of the job, for example link; types may have limits (default: none)
  --target NAME       what the job makes, for people (default: CMD and its words)
  --memory SIZE       bytes that CMD is expected to need, also 512M or 2G (default: not known)
  --priority P        -100 to 100, higher comes first (default: 0)
  --alone-after SECONDS
                      run CMD outside of the pool when an arbiter that lives has not answered
                      for so long (default: wait for it)
  --timeout SECONDS   how long to wait for slots; 0: only take what is free (default: no limit)
  --nice N            the niceness of CMD is at least N, 0-19 (default: 0)
  --opam              give CMD opam's extended jobserver, OPAMJOBSERVER=R,W (default: no)
  -q                  say nothing of who is waited for, nor that there is no arbiter
  -h, --help          this text

In each ARG {slots} becomes the number of slots; {{slots}} becomes {slots}. CMD finds the number in
TOKENPOOL_SLOTS, too, and with --slots in OMP_NUM_THREADS, GOMAXPROCS, RAYON_NUM_THREADS and
PYTEST_XDIST_AUTO_NUM_WORKERS, unless they are set. Without an arbiter, CMD runs with one slot.

Examples:
  xargs -P 100 -n 1 tokenpool exec -- cc -c < files
  tokenpool exec --slots 1-8 -- xz -T{slots} big.tar
  cmake -DCMAKE_CXX_COMPILER_LAUNCHER=tokenpool-exec ...

tokenpool-exec is the same in one word, as RUSTC_WRAPPER needs it; it knows the type and target of a
compiler's or linker's call.

Exit status:
  the status of CMD, 128 + the signal when a signal ended it;
  2 bad usage, 125 CMD was not started (refused, --timeout is over, a failure of tokenpool),
  126 CMD cannot be executed, 127 CMD was not found

Standard input, output and error are CMD's; tokenpool itself writes to standard error only.
See also tokenpool-exec(1).
)page"},
    {"status",
     R"page(tokenpool status shows what runs, who holds its slots, and who waits for them.

Usage:
  tokenpool status [--json] [--watch] [RUN | --server ADDR] [--cookie-file FILE]
  tokenpool status --all [--json]

Options:
  --json              one JSON object; its keys are those of status in tokenpool-protocol(7)
                      (default: text)
  --watch             on a terminal show it anew whenever something happens, until q is typed;
                      elsewhere, and with --json, print a line for the state and then one for
                      each event; until the arbiter ends (default: once)
  --all               list all of your runs and servers
  --run RUN           one of your runs and servers, as tokenpool status --all lists them: its
                      number, its pid, or the folder in which it was started; --run may be left out
  --server ADDR       the arbiter: unix:/path, tcp:HOST:PORT or the path of a socket (default: that
                      of TOKENPOOL_ADDR, else the pool around this process, else all that
                      live: one is shown, several are listed)
  --cookie-file FILE  where its cookie is (default: TOKENPOOL_COOKIE where TOKENPOOL_ADDR is
                      ADDR, else PATH.cookie beside a Unix socket, else TOKENPOOL_COOKIE_FILE)
  -h, --help          this text

Examples:
  tokenpool status --watch
  tokenpool status --json | jq .free
  tokenpool status .                 the run that was started in this folder
  tokenpool status --server unix:/run/ci/socket

Exit status:
  0 done, also when the arbiter that --watch looks at has ended; 130 --watch and Ctrl-C
  1 no arbiter can be reached, or it refuses; 2 bad usage

See also tokenpool-status(1).
)page"},
    {"set",
     R"page(tokenpool set changes what an arbiter hands out, from now on. What is held stays held.

Usage:
  tokenpool set KEY=VALUE... [--run RUN | --server ADDR] [--cookie-file FILE]

Keys:
  jobs=N              slots of the pool, 1-512; they do not follow the machine any more
  limit.TYPE=N|none   leases of that type at one time, 0-512, or no limit
  lease.N=0           lease N ends: its slots are free at once, whatever its job does. For a lease
                      whose job is gone and whose holder does not say so

Options:
  --run RUN           one of your runs and servers, as tokenpool status --all lists them: its
                      number, its pid, or the folder in which it was started
  --server ADDR       the arbiter: unix:/path, tcp:HOST:PORT or the path of a socket (default: that
                      of TOKENPOOL_ADDR, else the pool around this process, else the server at
                      $XDG_RUNTIME_DIR/tokenpool/socket, else your only run)
  --cookie-file FILE  where its cookie is (default: TOKENPOOL_COOKIE where TOKENPOOL_ADDR is
                      ADDR, else PATH.cookie beside a Unix socket, else TOKENPOOL_COOKIE_FILE)
  -h, --help          this text

Examples:
  tokenpool set jobs=4
  tokenpool set limit.link=2 limit.test=none
  tokenpool set lease.7=0

Exit status:
  0 done; 1 no arbiter can be reached, or it refuses; 2 bad usage

Prints what is set now. See also tokenpool-status(1).
)page"},
    {"pause",
     R"page(tokenpool pause lets an arbiter grant nothing new until tokenpool resume. What runs
goes on.

Usage:
  tokenpool pause [RUN | --server ADDR] [--cookie-file FILE]

Options:
  --run RUN           one of your runs and servers, as tokenpool status --all lists them: its
                      number, its pid, or the folder in which it was started; --run may be left out
  --server ADDR       the arbiter: unix:/path, tcp:HOST:PORT or the path of a socket (default: that
                      of TOKENPOOL_ADDR, else the pool around this process, else the server at
                      $XDG_RUNTIME_DIR/tokenpool/socket, else your only run)
  --cookie-file FILE  where its cookie is (default: TOKENPOOL_COOKIE where TOKENPOOL_ADDR is
                      ADDR, else PATH.cookie beside a Unix socket, else TOKENPOOL_COOKIE_FILE)
  -h, --help          this text

Examples:
  tokenpool pause

Exit status:
  0 done; 1 no arbiter can be reached, or it refuses; 2 bad usage

Prints what is set now. See also tokenpool-status(1).
)page"},
    {"resume",
     R"page(tokenpool resume ends what tokenpool pause began: the arbiter grants slots again.

Usage:
  tokenpool resume [RUN | --server ADDR] [--cookie-file FILE]

Options:
  --run RUN           one of your runs and servers, as tokenpool status --all lists them: its
                      number, its pid, or the folder in which it was started; --run may be left out
  --server ADDR       the arbiter: unix:/path, tcp:HOST:PORT or the path of a socket (default: that
                      of TOKENPOOL_ADDR, else the pool around this process, else the server at
                      $XDG_RUNTIME_DIR/tokenpool/socket, else your only run)
  --cookie-file FILE  where its cookie is (default: TOKENPOOL_COOKIE where TOKENPOOL_ADDR is
                      ADDR, else PATH.cookie beside a Unix socket, else TOKENPOOL_COOKIE_FILE)
  -h, --help          this text

Examples:
  tokenpool resume

Exit status:
  0 done; 1 no arbiter can be reached, or it refuses; 2 bad usage

Prints what is set now. See also tokenpool-status(1).
)page"},
    {"doctor",
     R"page(tokenpool doctor shows what this machine offers, how tokenpool run will track tokens
here and why, and what would make a build tool on PATH leave the pool.

Usage:
  tokenpool doctor [-v] [--json]

Options:
  -v          also what was looked at: the machine, and each tool on PATH. --verbose is the same
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
for a shell below tokenpool run that lost them; or those that lead to a server.

Usage:
  tokenpool env [--json] [--server ADDR] [--cookie-file FILE]

Options:
  --json              one JSON object instead of shell commands (default: shell commands)
  --server ADDR       print TOKENPOOL_ADDR and TOKENPOOL_COOKIE of the server at unix:/path or
                      tcp:HOST:PORT (default: the pool around this process)
  --cookie-file FILE  where its cookie is (default: as tokenpool status --help tells)
  -h, --help          this text

Examples:
  eval "$(tokenpool env)"
  eval "$(tokenpool env --server "$XDG_RUNTIME_DIR/tokenpool/socket")"
  tokenpool env --json | jq -r .set.MAKEFLAGS
  tokenpool env > pool.sh               then, in another shell of the same build: . ./pool.sh

Exit status:
  0 printed; 1 no pool surrounds this process, or the server's cookie is not to be had; 2 bad usage
)page"},
}};

bool is_heading(std::string_view line) {
  return !line.empty() && line.front() >= 'A' && line.front() <= 'Z' && line.back() == ':';
}

}  // namespace

std::string_view version() { return wire::version(); }

const std::vector<std::string>& command_names() {
  static const std::vector<std::string> names{"run",   "serve",  "exec",   "status", "set",
                                              "pause", "resume", "doctor", "env",    "help"};
  return names;
}

std::string help_text(std::string_view command, bool colour) {
  static_assert(core::kMaxSlots == 512, "the text of run says 1-512");
  std::string answer;
  for (const HelpPage& page : kPages) {
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
