#include "front/run.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arbiter/run_status.h"
#include "board/board_log.h"
#include "core/limits.h"
#include "dialect/tool.h"
#include "front/front.h"
#include "front/report.h"
#include "jobserver/environment.h"
#include "jobserver/run_folder.h"
#include "jobserver/shim_folder.h"
#include "proc/build_group.h"
#include "proc/cannot_execute.h"
#include "proc/capacity.h"
#include "proc/environ.h"
#include "proc/listening_socket.h"
#include "proc/niceness.h"
#include "proc/probe.h"
#include "proc/process.h"
#include "proc/process_files.h"
#include "proc/random.h"
#include "proc/say.h"
#include "proc/tool.h"
#include "proc/tool_version.h"
#include "wire/plain_text.h"

namespace tokenpool::front {
namespace {

int fail(const wire::Error& error) {
  proc::say("run", error.sentence);
  return error.status;
}

const char* why_no_listener(int error) {
  switch (error) {
    case EBUSY:
      return "this process already runs under another one, of an outer tokenpool run or a "
             "container";
    case EPERM:
    case EACCES:
      return "a sandbox forbids it";
    case ENOSYS:
    case EINVAL:
      return "this kernel has none, Linux 5.5 or later does";
    default:
      return std::strerror(error);
  }
}

struct Timer {
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
};

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

/// What lives from the first to the last step of one run.
struct Run {
  explicit Run(const RunConfig& run_config) : config(run_config) {}
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;
  ~Run() {
    close_ends();
    close_sockets();
    board::unmap_board(board);
  }
  void close_sockets() {
    for (const auto* list : {&sockets.unix_sockets, &sockets.tcp_sockets}) {
      for (const int fd : *list) ::close(fd);
    }
    sockets = {};
  }
  void close_ends() {
    for (int* end : {&spec.read_end, &spec.write_end}) {
      if (*end >= 0) ::close(*end);
      *end = -1;
    }
  }

  const RunConfig& config;
  const bool sees_processes = proc::ProcessFiles::are_readable();
  std::string why_not_usual;  ///< why its folder is not where such folders are
  /// Slots at first.
  const int start = std::clamp(proc::usable_cpus(), config.slots.min, config.slots.max);
  Timer timer;
  jobserver::Fifo fifo;
  board::Board* board = nullptr;
  CommandSpec spec;
  Front front;
  std::optional<StartedCommand> command;
  board::Attached sockets;  ///< of the protocol
  std::string address;      ///< ... as clients are told
  std::string wrap_folder;
  const std::string cookie = proc::random_digits(wire::kCookieDigits);
};

// A descriptor of ours that took the place of a closed stdin, stdout or stderr would be written to
// by whoever prints. The command finds them closed as they were.
void occupy_standard_descriptors() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0) (void)::open("/dev/null", O_RDWR | O_CLOEXEC);
  }
}

// A build whose socket cannot be made goes on without the protocol, as it does without the file of
// its environment when the folder is full: TOKENPOOL_ADDR is not set, and make, ninja and cargo do
// not miss it. Where descriptors are what is lacking, the next step says so.
void listen_in_folder(Run* run) {
  const wire::Address address{
      .path = run->fifo.folder() + "/" + std::string(jobserver::kSocketName), .host = {}};
  if (address.path.size() >= wire::kMaxSocketPath) {
    return proc::say("run",
                     "the path of the socket " + address.path +
                         " is too long, so this build has none; set TMPDIR to a shorter one");
  }
  const auto socket = proc::listen_on(address);
  if (!socket) return;
  run->sockets.unix_sockets.push_back(socket->fd);
  run->address = wire::to_string(address);
}

wire::Result<void> listen_for_clients(Run* run) {
  listen_in_folder(run);
  for (const auto& address : run->config.listen) {
    const auto socket = proc::listen_on(address);
    if (!socket) return tl::unexpected(socket.error());
    run->sockets.tcp_sockets.push_back(socket->fd);
    run->address += (run->address.empty() ? "" : ";") + wire::to_string(socket->address);
  }
  return {};
}

wire::Result<void> find_compilers(Run* run) {
  if (!run->config.wrap) return {};
  auto folder = jobserver::make_wrap_folder(*run->config.wrap, proc::search_path());
  if (!folder) return tl::unexpected(folder.error());
  for (const auto& name : folder->missing)
    proc::say("run", "--wrap: there is no " + name + " on PATH");
  run->wrap_folder = std::move(folder->path);
  return {};
}

// Where there is no place for a FIFO. The build is what the user wants; the pool makes it better.
int run_alone(const Run& run) {
  proc::say("run", run.why_not_usual + ", nor elsewhere; " + run.config.command.front() +
                       " runs without a pool");
  std::vector<char*> words;
  for (const std::string& word : run.config.command) {
    words.push_back(const_cast<char*>(word.c_str()));
  }
  words.push_back(nullptr);
  run.front.restore(run.spec);
  proc::raise_niceness(run.config.nice);
  ::execvp(words[0], words.data());
  return fail(proc::cannot_execute(run.config.command.front(), errno));
}

// The arbiter removes what is made under the name that it was started with, so each place has one
// of its own. Where no place will do, run->fifo has no descriptor.
wire::Result<void> create_fifo(Run* run) {
  const jobserver::RunPlaces places = jobserver::run_places();
  run->why_not_usual = places.why_not_usual;
  for (const std::string& place : places.paths) {
    run->fifo.choose_name(place);
    if (auto started = run->front.start_arbiter(&run->fifo, run->board); !started) return started;
    auto created = run->fifo.create();
    const int reason = errno;
    if (created) {
      if (!run->why_not_usual.empty()) {
        proc::say("run", run->why_not_usual + "; the FIFO is in " + place + " instead");
      }
      return {};
    }
    // Another place is no better then.
    if (reason == EMFILE || reason == ENFILE || reason == ENOMEM) return created;
    if (run->why_not_usual.empty()) {
      const char* named = std::getenv("TMPDIR");
      run->why_not_usual = (named != nullptr && *named != '\0' ? "TMPDIR=" : "") + place +
                           ": no FIFO can be made there (" + std::strerror(reason) + ")";
    }
    run->front.dismiss_arbiter();
  }
  return {};
}

wire::Result<void> prepare(Run* run) {
  if (auto found = find_compilers(run); !found) return found;
  if (run->config.report_path) {
    if (auto checked = check_report_path(*run->config.report_path); !checked) return checked;
  }
  if (auto prepared = run->front.prepare(&run->spec); !prepared) return prepared;
  if (run->config.die_with_parent) {
    if (auto watched = run->front.watch_parent(); !watched) return watched;
  }
  run->board = board::map_board();
  if (run->board == nullptr) {
    return tl::unexpected(wire::Error{125, std::string("cannot map shared memory: ") +
                                               std::strerror(errno) + "; free some memory"});
  }
  board::BoardLog(run->board).keep_limits(run->config.limits);
  arbiter::keep_command(run->config.command, run->board);
  if (auto created = create_fifo(run); !created || run->fifo.fd() < 0) return created;
  const int issued = run->start - 1;
  if (run->fifo.put(issued) != issued) {
    return tl::unexpected(wire::Error{
        125,
        "cannot put " + std::to_string(issued) +
            " tokens into the FIFO; raise the pipe limit (/proc/sys/fs/pipe-user-pages-soft)"});
  }
  if (auto listening = listen_for_clients(run); !listening) return listening;
  return run->fifo.open_ends(&run->spec.read_end, &run->spec.write_end);
}

// A make older than 4.4 stops with an error at the FIFO's path, so what MAKEFLAGS says depends on
// it.
std::optional<dialect::Dialect> dialect_of_make(const std::string& shims) {
  const auto make = proc::find_tool("make", proc::search_path(), shims);
  if (!make) return std::nullopt;
  const auto version = proc::known_version_output(*make);
  if (!version) return dialect::Dialect::both;
  return dialect::describe_tool(dialect::ToolKind::make, *version)
      .dialect.value_or(dialect::Dialect::both);
}

/// The run around this one, as far as it can be seen: "pid 7: tokenpool run make".
std::string outer_run() {
  if (proc::own_variable("TOKENPOOL_FIFO").empty()) return {};
  const proc::FileId program = proc::own_program();
  pid_t pid = ::getppid();
  for (std::size_t steps = 0; pid > 0 && steps < core::kMaxAncestors; ++steps) {
    if (proc::runs_program(pid, program)) {
      return "pid " + std::to_string(pid) + ": " + wire::short_command(proc::command_of(pid));
    }
    const auto process = proc::read_process(pid);
    pid = process ? process->parent : 0;
  }
  return {};
}

void describe_build(Run* run, const std::string& shims,
                    std::optional<dialect::Dialect> make_dialect) {
  const dialect::Jobserver jobserver{run->fifo.path(), run->spec.read_end, run->spec.write_end,
                                     run->config.slots.max};
  jobserver::EnvironmentOptions options;
  options.shims_folder = shims;
  if (!shims.empty()) {
    options.bsd_shims_folder = jobserver::make_bsd_shims_folder(proc::search_path());
  }
  options.make_dialect = make_dialect;
  options.address = run->address;
  options.cookie = run->cookie;
  options.wrap_folder = run->wrap_folder;
  options.outer_run = outer_run();
  auto environment = jobserver::build_environment(jobserver, options, ::environ);
  for (const auto& note : environment.notes) proc::say("run", note);
  run->spec.environment = std::move(environment.variables);
  jobserver::keep_environment(run->fifo.path(), run->spec.environment);
  run->spec.argv = run->config.command;
  run->spec.nice = run->config.nice;
  if (!run->sees_processes) {
    proc::say("run",
              "/proc is not mounted here, or is that of other processes, so nobody can tell who "
              "holds a slot: a plain jobserver serves, and what a killed process held is lost");
  }
  run->spec.track = run->config.track != Track::infer && run->sees_processes;
  run->spec.exits = run->spec.track && !proc::try_pidfd_exit().works();
  run->spec.mark = proc::new_build_mark();
}

// The command stands before its execution until the arbiter serves its filter.
wire::Result<void> start(Run* run) {
  run->front.make_group(&run->spec);
  auto command = start_command(run->spec);
  if (!command) return tl::unexpected(command.error());
  run->command = *command;
  board::Begin begin;
  begin.read_end = run->spec.read_end;
  begin.write_end = run->spec.write_end;
  begin.issued = run->start - 1;
  begin.slots = run->config.slots;
  begin.standstill = static_cast<std::int32_t>(run->config.standstill.count());
  begin.enforce = run->config.enforce;
  begin.mark = run->spec.mark;
  begin.exits = run->spec.exits;
  std::copy(run->cookie.begin(), run->cookie.end(), begin.cookie.begin());
  run->close_ends();
  if (auto begun = run->front.begin(*command, begin, run->sockets); !begun) return begun;
  if (command->filter_error != 0) {
    proc::say(
        "run",
        std::string("exact tracking is not to be had here (no seccomp listener: ") +
            why_no_listener(command->filter_error) +
            "); tokens that are lost are found by counting, within 2 s, see tokenpool doctor");
  }
  return release_command(run->spec, *command);
}

// What runs have left of which nobody was left to remove it. The build is under way by now, and the
// front has nothing else to do.
void clean_up_after_dead_runs(const Run& run) {
  const std::string& folder = run.fifo.folder();
  const std::size_t slash = folder.rfind('/');
  const std::string own = folder.substr(slash + 1);
  proc::BuildGroup group;
  group.choose_name(own);
  // Those whose folder somebody else has removed, or that is elsewhere.
  for (const std::string& name : jobserver::run_names(group.parent())) {
    group.sibling(name).remove_if_dead();
  }
  jobserver::remove_dead_runs(folder.substr(0, slash + 1), own, [&group](const std::string& name) {
    return group.sibling(name).remove_if_empty();
  });
}

RunOutcome outcome_of(const Run& run, const StartedCommand& command, const CommandEnd& end) {
  RunOutcome outcome;
  outcome.command = run.config.command;
  outcome.tracking = command.listener >= 0 ? "exact" : run.sees_processes ? "infer" : "none";
  outcome.slots = run.config.slots;
  outcome.left_running = end.left_running;
  if (WIFSIGNALED(end.wait_status)) {
    outcome.signal = WTERMSIG(end.wait_status);
    outcome.exit_code = 128 + outcome.signal;
  } else {
    outcome.exit_code = WEXITSTATUS(end.wait_status);
  }
  rusage usage{};
  ::getrusage(RUSAGE_CHILDREN, &usage);
  outcome.wall_seconds = run.timer.seconds();
  outcome.cpu_seconds = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
  outcome.peak_process_bytes = static_cast<std::int64_t>(usage.ru_maxrss) * 1024;
  return outcome;
}

/// A pipe that somebody reads to its end, behind descriptor `fd` of this process. The journal of
/// systemd waits for nobody (JOURNAL_STREAM, systemd.exec(5)).
std::optional<proc::FileId> pipe_behind(int fd) {
  struct stat info{};
  if (::fstat(fd, &info) != 0 || !(S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode))) return {};
  const std::string journal = std::to_string(info.st_dev) + ":" + std::to_string(info.st_ino);
  if (proc::own_variable("JOURNAL_STREAM") == journal) return {};
  return proc::FileId{info.st_dev, info.st_ino};
}

// Whoever reads them to their end waits on, and nobody would know for whom.
void tell_of_open_streams(proc::BuildMark mark) {
  const std::array pipes{pipe_behind(1), pipe_behind(2)};
  const auto has = [&](pid_t pid, int fd) {
    return std::ranges::any_of(
        pipes, [&](const auto& pipe) { return pipe && proc::descriptor_is(pid, fd, *pipe); });
  };
  if (mark == 0 || (!pipes[0] && !pipes[1])) return;
  std::vector<pid_t> keepers;
  for (const auto& process : proc::descendants_of(::getpid())) {
    const pid_t pid = process.id.pid;
    if (proc::has_build_mark(pid, mark) && (has(pid, 1) || has(pid, 2))) keepers.push_back(pid);
  }
  if (keepers.empty()) return;
  const std::size_t more = keepers.size() - 1;
  proc::say("run",
            "the command has ended, but process " + std::to_string(keepers.front()) + " (" +
                wire::short_command(proc::command_of(keepers.front())) + ")" +
                (more > 0 ? " and " + std::to_string(more) + " more" : "") +
                " that it left running still " + (more > 0 ? "have" : "has") +
                " its output: who reads that waits for them, too; --end-leftovers ends them");
}

void close_books(const Run& run, const RunOutcome& outcome) {
  if (run.config.report_path) {
    const auto written = write_report(*run.config.report_path, render_report(outcome, *run.board));
    if (!written) proc::say("run", written.error().sentence);
  }
  if (run.config.quiet) return;
  if (outcome.left_running > 0) tell_of_open_streams(run.spec.mark);
  if (const auto line = closing_line(*run.board)) proc::say("run", *line);
}

}  // namespace

int run(const RunConfig& config) {
  occupy_standard_descriptors();
  // Asked before there is anything on the disk: this takes longer than all the rest of the start.
  const std::string shims = config.shims ? jobserver::make_shims_folder() : std::string();
  if (config.shims && shims.empty()) {
    proc::say("run",
              "no shims are installed beside this program, and none can be made among your data "
              "(XDG_DATA_HOME): a -j on a tool's command line leaves the pool");
  }
  const auto make_dialect = dialect_of_make(shims);
  Run run(config);
  auto started = prepare(&run);
  if (started && run.fifo.fd() < 0) return run_alone(run);
  if (started) {
    describe_build(&run, shims, make_dialect);
    started = start(&run);
  }
  if (!started) {
    run.front.abandon(run.command ? &*run.command : nullptr);
    run.fifo.remove();
    return fail(started.error());
  }
  if (config.quiet) run.front.be_quiet();
  if (config.end_leftovers) run.front.leave_nothing();
  clean_up_after_dead_runs(run);
  const CommandEnd end = run.front.wait_for(*run.command);
  if (end.left_running == 0) run.fifo.remove();
  const RunOutcome outcome = outcome_of(run, *run.command, end);
  close_books(run, outcome);
  return outcome.exit_code;
}

}  // namespace tokenpool::front
