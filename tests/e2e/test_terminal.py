"""A run on a terminal, below a shell with job control."""

import fcntl
import json
import os
import re
import select
import signal
import struct
import termios

from harness import expect, expect_that, kill, needs
from lifecycle_kit import COUNTER, group_of, lines_of, state_of, wait_all_gone, wait_lines

# A shell of one job: leads the session, gives the terminal to the job, takes it back when the job
# stops or ends, and writes what happened to a log. A byte on descriptor 3 continues a stopped job.
SHELL = """
import json, signal, termios
log = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
steering = int(sys.argv[2])
def write(*fields):
    os.write(log, (json.dumps(fields) + "\\n").encode())
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
def modes():
    return repr(termios.tcgetattr(0))
before = modes()
job = os.fork()
if job == 0:
    os.close(log)
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execvp(sys.argv[3], sys.argv[3:])
try:
    os.setpgid(job, job)
except OSError:
    pass
write("job", job)
while True:
    _, status = os.waitpid(job, os.WUNTRACED)
    owner = os.tcgetpgrp(0)
    if not os.WIFSTOPPED(status):
        write("ended", os.waitstatus_to_exitcode(status), owner == job, modes() == before)
        break
    os.tcsetpgrp(0, os.getpgrp())
    write("stopped", owner == job, modes() == before)
    os.read(steering, 1)
    os.tcsetpgrp(0, job)
    os.killpg(job, signal.SIGCONT)
"""


class Terminal:
    """A pseudo terminal with the shell above and `tokenpool run -- COMMAND` as its job."""

    def __init__(self, ctx, command, slots=4, options=()):
        self.ctx = ctx
        self.log = f"{ctx.dir}/shell.log"
        self.screen = b""
        self.master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))
        read_end, self.steering = os.pipe()
        shell = ctx.program("shell.py", SHELL)
        report = f"{ctx.dir}/terminal.json"
        job = [ctx.tokenpool, "run", f"-j{slots}", "--report", report, *options, "--", *command]

        def own_the_terminal():
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.run = ctx.spawn(
            [shell, self.log, str(read_end), *job], slots=slots, report_path=report, stdin=slave,
            stdout=slave, stderr=slave, preexec_fn=own_the_terminal, pass_fds=(read_end,),
            env={"PS1": "prompt> ", "TERM": "dumb", "HISTFILE": None})
        os.close(slave)
        os.close(read_end)
        self.front = self.event("job")[0]

    def pump(self):
        ready, _, _ = select.select([self.master], [], [], 0)
        if ready:
            try:
                self.screen += os.read(self.master, 65536)
            except OSError:
                pass  # nobody has the terminal open any more

    def wait(self, predicate, what):
        def looked():
            self.pump()
            return predicate()

        self.ctx.wait(looked, f"{what}; the screen: {self.text()[-1500:]}")

    def text(self):
        return self.screen.decode(errors="replace").replace("\r", "")

    def event(self, name, number=0):
        """Waits for an event of the shell; answers its fields."""

        def found():
            events = [json.loads(line) for line in lines_of(self.log)]
            return [event[1:] for event in events if event[0] == name]

        self.wait(lambda: len(found()) > number, f"the shell's word '{name}'")
        return found()[number]

    def type(self, text):
        os.write(self.master, text.encode())

    def type_until(self, text, pattern):
        """Types a line and waits for what it prints, behind everything printed before."""
        start = len(self.text())
        self.type(text)
        self.wait(lambda: re.search(pattern, self.text()[start:]), f"{pattern!r} after {text!r}")

    def go_on(self):
        os.write(self.steering, b"c")

    def finish(self, status, owner=True):
        """Waits for the end of job and shell: the front's group has the terminal at its end, the
        terminal's modes are those of the start."""
        code, had_terminal, same_modes = self.event("ended")
        self.wait(self.run.ended, "the shell's end")
        expect(code, status, "status")
        expect((had_terminal, same_modes), (owner, True), "front has the terminal, same modes")
        report = self.run.finish(0)
        os.close(self.master)
        os.close(self.steering)
        return report


def start_counter(ctx, command=()):
    counter = ctx.program("counter.py", COUNTER)
    log = f"{ctx.dir}/log"
    terminal = Terminal(ctx, [*command, counter, log, "parent"])
    wait_lines(ctx, log, 1, "parent ready")
    wait_lines(ctx, log, 1, "child ready")
    return terminal, log


def fence(ctx, terminal, log):
    kill(terminal.front, signal.SIGUSR1)
    wait_lines(ctx, log, 1, "parent SIGUSR1")
    wait_lines(ctx, log, 1, "child SIGUSR1")


def seen(log, name):
    return [lines_of(log).count(f"{role} {name}") for role in ("parent", "child")]


def test_ctrl_c_reaches_the_build_once(ctx):
    terminal, log = start_counter(ctx)
    terminal.type("\x03")
    wait_lines(ctx, log, 1, "parent SIGINT")
    wait_lines(ctx, log, 1, "child SIGINT")
    fence(ctx, terminal, log)
    terminal.finish(0)
    expect(seen(log, "SIGINT"), [1, 1], "times SIGINT came")


def test_signals_sent_to_the_front_reach_the_build_once(ctx):
    terminal, log = start_counter(ctx)
    kill(terminal.front, signal.SIGTERM)
    wait_lines(ctx, log, 1, "parent SIGTERM")
    wait_lines(ctx, log, 1, "child SIGTERM")
    fence(ctx, terminal, log)
    terminal.finish(0)
    expect(seen(log, "SIGTERM"), [1, 1], "times SIGTERM came")


def test_second_ctrl_c_kills(ctx):
    """Within the patience for the keyboard; a slower pair is repeated until it is quick enough."""
    terminal, log = start_counter(ctx)
    pids = [int(line.split()[-1]) for line in lines_of(log)]
    terminal.type("\x03")
    wait_lines(ctx, log, 1, "parent SIGINT")

    def killed():
        terminal.type("\x03")
        terminal.pump()
        return any('"ended"' in line for line in lines_of(terminal.log))

    ctx.wait(killed, "the end by the keyboard")
    terminal.finish(128 + signal.SIGKILL)
    wait_all_gone(ctx, pids)


def test_make_ends_by_ctrl_c_as_it_does_alone(ctx):
    ctx.makefile("a", 12, "a")
    terminal = Terminal(ctx, ["make", "-C", "a"])
    terminal.wait(lambda: len(ctx.desk.inside) == 4, "four jobs in")
    terminal.type("\x03")
    expect_that(terminal.event("ended")[0] in (2, 128 + signal.SIGINT), "status of an interrupt")
    report = terminal.finish(terminal.event("ended")[0])
    expect(report["tokens"]["missing"], 0, "missing")


def test_ctrl_z_stops_and_continuing_goes_on(ctx):
    terminal, log = start_counter(ctx)
    pids = [int(line.split()[-1]) for line in lines_of(log)]
    for turn in range(3):
        terminal.type("\x1a")
        owner, same_modes = terminal.event("stopped", turn)
        expect((owner, same_modes), (True, True), "the terminal is the front's, same modes")
        terminal.wait(lambda: all(state_of(pid) == "T" for pid in pids), "a stopped build")
        terminal.go_on()
        terminal.wait(lambda: all(state_of(pid) != "T" for pid in [*pids, terminal.front]),
                      "a build that goes on")
    fence(ctx, terminal, log)
    terminal.finish(0)


def test_build_that_was_stopped_keeps_its_tokens(ctx):
    ctx.makefile("a", 12, "a")
    terminal = Terminal(ctx, ["make", "-C", "a"])
    terminal.wait(lambda: len(ctx.desk.inside) == 4, "four jobs in")
    terminal.type("\x1a")
    terminal.event("stopped")
    terminal.go_on()
    while not any('"ended"' in line for line in lines_of(terminal.log)):
        for guest in ctx.desk.held():
            ctx.desk.release(guest)
        ctx.desk.pump(0.01)
        terminal.pump()
    report = terminal.finish(0)
    expect((ctx.desk.entered, report["tokens"]["recovered"]), (12, 0), "jobs, recovered")
    expect_that(ctx.desk.peak == 4, f"peak {ctx.desk.peak}")


def interactive_shell(ctx):
    # Without its line editor: with it, bash 5.2 looks at a SIGINT only when the next key is pressed.
    terminal = Terminal(ctx, ["bash", "--norc", "--noprofile", "--noediting", "-i"])
    terminal.wait(lambda: terminal.text().endswith("prompt> "), "a prompt")
    expect_that("no job control" not in terminal.text(), terminal.text())
    return terminal


def test_interactive_shell_has_job_control(ctx):
    terminal = interactive_shell(ctx)
    prompt = r"prompt> $"
    terminal.type_until("sleep 1000 &\n", r"\[1\] \d+\n" + prompt)
    terminal.type_until("jobs\n", r"\[1\]\+\s+Running\s+sleep 1000.*\n" + prompt)
    terminal.type_until("fg\n", r"fg\nsleep 1000\n")
    terminal.wait(lambda: terminal.run.find("sleep"), "the sleeper")
    sleeper = terminal.run.find("sleep")[0]
    terminal.wait(lambda: os.tcgetpgrp(terminal.master) == group_of(sleeper), "sleep in front")
    terminal.type_until("\x1a", r"\[1\]\+\s+Stopped\s+sleep 1000\n" + prompt)
    expect(state_of(sleeper), "T", "state of the job")
    expect(state_of(terminal.front), "S", "state of the front")
    terminal.type_until("bg\n", r"\[1\]\+ sleep 1000 &\n" + prompt)
    terminal.wait(lambda: state_of(sleeper) == "S", "the job in the background")
    terminal.type_until("kill %1; wait; echo st$((40+2))\n", r"st42\n")
    terminal.type("exit 7\n")
    terminal.finish(7)


def test_shell_that_suspends_itself_stops_the_front_with_it(ctx):
    terminal = interactive_shell(ctx)
    for number in range(2):
        terminal.type("suspend\n")
        terminal.event("stopped", number)
        expect(state_of(terminal.front), "T", "state of the front")
        os.write(terminal.steering, b"c")
        terminal.type_until(f"echo st$(({number}+42))\n", rf"st{number + 42}\nprompt> $")
    terminal.type("exit 8\n")
    terminal.finish(8)


def test_ctrl_c_at_the_prompt_does_not_end_the_shell(ctx):
    terminal = interactive_shell(ctx)
    for _ in range(5):
        terminal.type_until("abc\x03", r"\^C\nprompt> $")
    terminal.type_until("echo st$((40+2))\n", r"st42\nprompt> $")
    terminal.type("exit 0\n")
    terminal.finish(0)


def test_ctrl_c_ends_a_job_of_the_interactive_shell_only(ctx):
    terminal = interactive_shell(ctx)
    for _ in range(2):
        terminal.type("sleep 1000\n")
        terminal.wait(lambda: terminal.run.find("sleep"), "the sleeper")
        sleeper = terminal.run.find("sleep")[0]
        terminal.wait(lambda: os.tcgetpgrp(terminal.master) == group_of(sleeper), "sleep in front")
        terminal.type_until("\x03", r"\^C\nprompt> $")
        wait_all_gone(ctx, [sleeper])
    terminal.type("exit 5\n")
    terminal.finish(5)


def test_killed_shell_leaves_the_terminal_to_the_front(ctx):
    """It was in a group of its own, which had the terminal."""
    terminal = interactive_shell(ctx)
    shell = terminal.run.find("bash")[0]
    expect(os.tcgetpgrp(terminal.master), group_of(shell), "the group in front")
    kill(shell)
    terminal.finish(128 + signal.SIGKILL)


RAW = """
import signal, tty
tty.setraw(0)
say("raw")
signal.pause()
"""


def test_modes_are_restored_after_a_killed_command(ctx):
    terminal = Terminal(ctx, [ctx.program("raw.py", RAW)])
    terminal.wait(lambda: (ctx.desk.pump(), ctx.desk.has_said("raw"))[1], "raw mode")
    kill(terminal.run.find("python3", under=terminal.front)[0])
    terminal.finish(128 + signal.SIGKILL)


def test_modes_that_a_command_leaves_on_purpose_stay(ctx):
    """stty is such a command: what it sets is for those that come after it."""
    terminal = Terminal(ctx, ["stty", "-echo"])
    code, owner, same_modes = terminal.event("ended")
    expect((code, owner, same_modes), (0, True, False), "status, terminal, same modes")
    terminal.wait(terminal.run.ended, "the shell's end")
    terminal.run.finish(0)


def test_background_run_leaves_the_terminal_alone(ctx):
    """A run that a shell started with & does not grab the terminal at its end."""
    inner = f"{ctx.tokenpool} run -j2 sh -c 'job one' & wait $!; echo st$?; read x"
    terminal = Terminal(ctx, ["bash", "-mc", f"{ctx.tokenpool} --version; {inner}"])
    terminal.wait(lambda: (ctx.desk.pump(), ctx.desk.count() == 1)[1], "the job")
    in_front = os.tcgetpgrp(terminal.master)
    expect_that(in_front != group_of(ctx.desk.inside[0].pid), "the job is in the background")
    ctx.desk.release(ctx.desk.held()[0])
    terminal.wait(lambda: "st0" in terminal.text(), "the inner end")
    expect(os.tcgetpgrp(terminal.master), in_front, "the group in front")
    terminal.type("\n")
    terminal.finish(0)


def test_hang_up_ends_the_build(ctx):
    """The terminal's window is closed: session leader and foreground group get SIGHUP."""
    terminal = Terminal(ctx, ["job", "one"])
    terminal.wait(lambda: (ctx.desk.pump(), ctx.desk.count() == 1)[1], "the job")
    pids = [terminal.front, ctx.desk.inside[0].pid]
    terminal.run.books = False
    os.close(terminal.master)
    os.close(terminal.steering)
    wait_all_gone(ctx, pids)
    ctx.wait(terminal.run.ended, "the shell's end")
    ctx.wait(lambda: not os.listdir(ctx.tmp), "an empty TMPDIR")


def test_window_size_is_the_terminals(ctx):
    terminal = Terminal(ctx, ["stty", "size"])
    terminal.wait(lambda: "40 200" in terminal.text(), "the size")
    terminal.finish(0)


def test_build_can_read_the_keyboard(ctx):
    terminal = Terminal(ctx, ["sh", "-c", "read word; echo got-$word"])
    terminal.type("yes\n")
    terminal.wait(lambda: "got-yes" in terminal.text(), "its answer")
    terminal.finish(0)


@needs("script")
def test_below_script(ctx):
    """script(1) is a terminal that somebody else made."""
    run = ctx.spawn(["script", "-qec", f"{ctx.tokenpool} run -j2 sh -c 'tty; exit 5'", "/dev/null"])
    expect(run.wait(), 5, "status")
    expect_that("/dev/pts" in run.stdout(), run.stdout())
