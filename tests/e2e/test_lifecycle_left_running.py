"""What the command leaves running on purpose goes on working; the run returns with the command."""

import os
import signal

from harness import comm_of, descendants, expect, expect_that, is_alive, kill
from lifecycle_kit import arbiter_child, expect_clean_folder, lines_of, wait_all_gone, wait_lines

# A daemon as compilers' servers are: a session of its own, standard streams closed, and a loop that
# wakes itself by one-byte writes and reads on a pipe. Words on its stop FIFO steer it:
# "take", "give", "end". Every failed call is written to the log.
DAEMON = """
import select
log_path, stop_path = sys.argv[1:]
out = os.open(log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
def write(text):
    os.write(out, text.encode() + b"\\n")
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
null = os.open("/dev/null", os.O_RDWR)
for fd in range(3):
    os.dup2(null, fd)
stop = os.open(stop_path, os.O_RDWR | os.O_NONBLOCK)
wake_read, wake_write = os.pipe()
write(f"up {os.getpid()}")
beats = 0
try:
    while True:
        os.write(wake_write, b"x")
        assert os.read(wake_read, 1) == b"x"
        beats += 1
        if beats % 20 == 0:
            write("beat")
        ready, _, _ = select.select([stop], [], [], 0.002)
        if not ready:
            continue
        word = os.read(stop, 100).decode().strip()
        if word == "take":
            os.read(fds()[0], 1)
        elif word == "give":
            os.write(fds()[1], b"+")
        elif word == "end":
            write("end")
            break
        write(f"did {word}")
except BaseException as error:
    write(f"error {error!r}")
"""


class Daemon:
    """A run whose command leaves the daemon behind, up to the run's end."""

    def __init__(self, ctx, *options, after="exit 0"):
        self.ctx = ctx
        self.log = f"{ctx.dir}/daemon.log"
        self.stop = f"{ctx.dir}/stop"
        os.mkfifo(self.stop)
        program = ctx.program("daemon.py", DAEMON)
        start = f"{program} {self.log} {self.stop}"
        self.steering = os.open(self.stop, os.O_RDWR | os.O_NONBLOCK)
        # The command waits until the daemon is up, as a build does that talks to its server.
        wait = f"while ! grep -q up {self.log} 2>/dev/null; do :; done"
        self.run = ctx.run(["bash", "-c", f"{start}; {wait}; {after}"], options=options)
        self.pid = int(wait_lines(ctx, self.log, 1, "up")[0].split()[1])
        self.arbiter = arbiter_child(self.run.pid)

    def say(self, word):
        done = len([line for line in lines_of(self.log) if line == f"did {word}"])
        os.write(self.steering, word.encode() + b"\n")
        wait_lines(self.ctx, self.log, done + 1, f"did {word}")

    def expect_working(self):
        """It beats on, and none of its calls has failed."""
        count = len([line for line in lines_of(self.log) if line == "beat"])
        wait_lines(self.ctx, self.log, count + 5, "beat")
        expect([line for line in lines_of(self.log) if "error" in line], [], "its failed calls")

    def end(self):
        os.write(self.steering, b"end\n")
        wait_lines(self.ctx, self.log, 1, "end")
        self.finish()

    def finish(self):
        wait_all_gone(self.ctx, [self.pid, self.arbiter])
        expect([line for line in lines_of(self.log) if "error" in line], [], "its failed calls")
        expect_clean_folder(self.ctx)
        os.close(self.steering)


def test_daemon_works_on_without_a_token(ctx):
    daemon = Daemon(ctx, after="exit 6")
    report = daemon.run.finish(6, held=0)
    expect(report["left_running"], 1, "left running")
    expect_that(is_alive(daemon.arbiter), "the arbiter has ended before the daemon")
    daemon.expect_working()
    daemon.end()


def held_by_the_daemon(ctx, *options):
    """The command ends only after the daemon has taken a token."""
    daemon = Daemon(ctx, *options, after=f"while ! grep -q 'did take' {ctx.dir}/daemon.log; do :; done")
    daemon.say("take")
    report = daemon.run.finish(0, held=1)
    expect((report["left_running"], report["tokens"]["held"]), (1, 1), "left running, held")
    expect_that(any("still held" in line for line in daemon.run.notes()), f"{daemon.run.notes()}")
    return daemon


def test_daemon_holds_its_token_on(ctx):
    daemon = held_by_the_daemon(ctx)
    daemon.expect_working()
    daemon.end()


def test_daemon_gives_back_and_takes_anew_after_the_run(ctx):
    daemon = held_by_the_daemon(ctx)
    for _ in range(3):
        daemon.say("give")
        daemon.say("take")
    daemon.expect_working()
    daemon.end()


def test_daemon_that_is_killed_later(ctx):
    daemon = held_by_the_daemon(ctx)
    kill(daemon.pid)
    daemon.finish()


def test_two_daemons_one_after_the_other(ctx):
    """The arbiter stays for the last one."""
    run = ctx.run(["bash", "-c", (
        "for i in 1 2; do setsid sleep 100$i </dev/null >/dev/null 2>&1 & done; job --say up x")])
    ctx.desk.wait(lambda: ctx.desk.has_said("up"), "the daemons")
    ctx.wait(lambda: len(run.find("sleep")) == 2 or run.ended(), "both sleepers")
    arbiter = arbiter_child(run.pid)
    report = run.finish()
    expect(report["left_running"], 2, "left running")
    sleepers = [pid for pid in descendants(os.getpid())
                if is_alive(pid) and not comm_of(pid).startswith("tokenpool")]
    expect(len(sleepers), 2, "daemons")
    kill(sleepers[0])
    ctx.wait_gone(sleepers[0])
    expect_that(is_alive(arbiter), "the arbiter stays for the second one")
    expect(len(os.listdir(ctx.tmp)), 1, "folders")
    kill(sleepers[1])
    wait_all_gone(ctx, [sleepers[1], arbiter])
    expect_clean_folder(ctx)


def test_arbiter_that_stays_leaves_the_terminal_and_the_pipes(ctx):
    """It has a session of its own and no stream of the caller."""
    daemon = Daemon(ctx)
    daemon.run.finish(0)
    streams = [os.readlink(f"/proc/{daemon.arbiter}/fd/{fd}") for fd in range(3)]
    expect(streams, ["/dev/null"] * 3, "its streams")
    for fd in os.listdir(f"/proc/{daemon.arbiter}/fd"):
        target = os.readlink(f"/proc/{daemon.arbiter}/fd/{fd}")
        expect_that(target not in (daemon.run.out_path, daemon.run.err_path), f"it holds {target}")
    expect(os.getsid(daemon.arbiter), daemon.arbiter, "its session")
    daemon.end()


def test_signal_to_the_run_before_its_end_does_not_reach_the_daemon(ctx):
    daemon = Daemon(ctx, after="job one")
    ctx.desk.wait(lambda: ctx.desk.count() == 1, "the job")
    kill(daemon.run.pid, signal.SIGTERM)
    daemon.run.finish(128 + signal.SIGTERM)
    daemon.expect_working()
    daemon.end()


def test_processes_that_end_before_the_command_are_not_left_running(ctx):
    """Nobody but the front can reap them."""
    orphans = ctx.program(
        "orphans",
        "until_all_ended, held = os.pipe()\n"
        "for _ in range(3):\n"
        "    if os.fork() == 0:\n"
        "        os.fork()\n"
        "        os._exit(0)\n"
        "os.close(held)\n"
        "os.read(until_all_ended, 1)\n")
    run = ctx.run([orphans])
    expect(run.finish()["left_running"], 0, "left running")


def test_inference_leaves_a_daemon_alone(ctx):
    daemon = Daemon(ctx, "--track=infer")
    expect(daemon.run.finish(0)["left_running"], 1, "left running")
    daemon.expect_working()
    daemon.end()


def test_those_left_behind_that_stand_still_get_one_more(ctx):
    """One that keeps the only token and does nothing, and one that waits for it."""
    holder = ctx.program("holder", "os.read(fds()[0], 1)\nos.setsid()\nstay('holder')\n")
    waiter = ctx.program("waiter", "os.setsid()\nos.read(fds()[0], 1)\nstay('waiter')\n")
    leave = ctx.script("leave", (
        f"{holder} </dev/null >/dev/null 2>&1 &\n"
        "job gate\n"
        f"{waiter} </dev/null >/dev/null 2>&1 &\n"))
    run = ctx.run([leave], slots=2, options=["--standstill", "1"])
    ctx.desk.wait(lambda: ctx.desk.count() == 2, "the holder, and the gate")
    arbiter = arbiter_child(run.pid)
    ctx.desk.release(ctx.desk.held("gate")[0])
    run.finish(0, held=1)
    ctx.wait(lambda: (ctx.desk.pump(), ctx.desk.count("waiter") == 1)[1], "the one that waited")
    for guest in ctx.desk.held():
        ctx.desk.release(guest)
    ctx.wait_gone(arbiter)
    expect_clean_folder(ctx)


# ---- nothing is to be left ---------------------------------------------------------------------


def test_end_leftovers(ctx):
    """A daemon and a job of a make that was killed: both are gone when the run has ended."""
    ctx.makefile("a", 3, "a")
    top = ctx.script("top", "setsid job daemon &\nmake -C a &\njob gate\nkill -9 $!\n")
    run = ctx.run([top], options=["--end-leftovers"])
    ctx.desk.wait(lambda: ctx.desk.count() == 5, "make's jobs, the daemon and the script")
    ctx.desk.release(ctx.desk.held("gate")[0])
    ctx.wait(run.ended, "the end of the run")
    expect(run.finish()["left_running"], 0, "processes left")
    ctx.desk.wait(lambda: ctx.desk.count() == 0, "the end of all")
    expect_that(any("left running" in note for note in run.notes()), f"lines: {run.notes()}")


def expect_goes_on(ctx):
    before = ctx.desk.held("before")[0]
    expect_that(is_alive(before.pid), "it goes on")
    ctx.desk.release(before)
    ctx.wait_gone(before.pid)


def test_what_a_shell_started_before_it_became_the_run_is_not_of_the_build(ctx):
    """`sh -c 'server & exec tokenpool run make'`: a child of the front that is none of its build."""
    words = " ".join([ctx.tokenpool, "run", "-j2", "--end-leftovers", "--", "job", "inside"])
    run = ctx.spawn(["sh", "-c", f"job before & exec {words}"])
    ctx.desk.wait(lambda: ctx.desk.count() == 2, "both in")
    ctx.desk.release(ctx.desk.held("inside")[0])
    expect((run.wait(), run.stderr()), (0, ""), "status and lines")
    expect_goes_on(ctx)


def test_a_second_signal_spares_what_is_not_of_the_build(ctx):
    run = ctx.spawn(["sh", "-c", f"job before & exec {ctx.tokenpool} run -j2 -- job inside"])
    ctx.desk.wait(lambda: ctx.desk.count() == 2, "both in")
    guest = ctx.desk.held("inside")[0]
    kill(guest.pid, signal.SIGSTOP)
    ctx.wait(lambda: run.ended() or (kill(run.pid, signal.SIGTERM) and run.ended()), "the run's end")
    expect_goes_on(ctx)


def test_end_leftovers_says_nothing_where_nothing_is_left(ctx):
    run = ctx.run(["true"], options=["--end-leftovers"])
    run.finish()
    expect(run.notes(), [], "lines")


def die_with_parent(name, options, dies):
    def body(ctx):
        """The one that started the run is killed."""
        words = " ".join([ctx.tokenpool, "run", "-j2", *options, "--", "job", "a"])
        agent = ctx.spawn(["sh", "-c", f"{words} & wait"])
        ctx.desk.wait(lambda: ctx.desk.count("a") == 1, "the job")
        front = next(pid for pid in descendants(agent.pid) if comm_of(pid) == "tokenpool")
        ctx.kill(agent.pid)
        agent.wait()
        if dies:
            ctx.wait(lambda: ctx.desk.count() == 0, "the end of the job")
        else:
            ctx.desk.let_all_out(agent)
        ctx.wait_gone(front)
        expect_clean_folder(ctx)

    body.__name__ = f"test_{name}"
    globals()[body.__name__] = body


die_with_parent("die_with_parent", ["--die-with-parent"], True)
die_with_parent("lives_on_without_its_parent", [], False)
