"""The front is killed: no process of the build, no FIFO and no folder stays."""

import os
import random
import signal

from harness import descendants, expect, expect_that, kill, needs, read_proc, timeout
from lifecycle_kit import (arbiter_child, expect_clean_folder, expect_killed, lines_of, state_of,
                           wait_all_gone, wait_arbiter, wait_lines)


def kill_front(ctx, run, pids):
    """Kills it and waits until it has left nothing."""
    arbiter = arbiter_child(run.pid)
    kill(run.pid)
    expect_killed(ctx, run, [*pids, *([arbiter] if arbiter else [])])


def spread(ctx, line, options=(), user=None):
    """A build with a process that the shell line starts, found by its sleep; kills the front."""
    script = ctx.script("spread.sh", f"{line}\njob --say up x\nexec sleep 2000\n")
    run = ctx.run([script], options=options, user=user)
    ctx.desk.wait(lambda: ctx.desk.has_said("up"), "the script")
    ctx.wait(lambda: len(run.find("sleep")) == 2, "both sleepers")
    if user is not None:
        expect_no_group(run)
    kill_front(ctx, run, run.find("sleep"))


def expect_no_group(run):
    """The build has no control group of its own by which it could be found."""
    for pid in descendants(run.pid):
        expect_that(b"tokenpool-" not in read_proc(pid, "cgroup"), f"{pid} is in the run's group")


def test_plain_child(ctx):
    spread(ctx, "sleep 1000 &")


def test_child_in_its_own_session(ctx):
    spread(ctx, "setsid sleep 1000 &")


def test_child_in_its_own_group(ctx):
    spread(ctx, "set -m; sleep 1000 & set +m")


def test_child_without_environment(ctx):
    spread(ctx, "env -i sleep 1000 &")


def test_child_that_ignores_signals(ctx):
    spread(ctx, "(trap '' INT TERM HUP; exec sleep 1000) &")


def test_daemon(ctx):
    spread(ctx, "(setsid sleep 1000 </dev/null >/dev/null 2>&1 &)")


def test_daemon_without_environment(ctx):
    spread(ctx, "(setsid env -i sleep 1000 </dev/null >/dev/null 2>&1 &)")


FORGETFUL = """
# A daemon that keeps nothing by which a build's process could be known: no environment, no
# descriptor, no parent, session or group.
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
os.closerange(0, 4096)
for _ in range(3):
    os.open("/dev/null", os.O_RDWR)
os.execve("/bin/sleep", ["sleep", "1000"], {})
"""


@timeout(30)
def test_daemon_that_keeps_nothing_of_the_build(ctx):
    spread(ctx, ctx.program("forgetful.py", FORGETFUL))


def test_daemon_without_environment_with_inference(ctx):
    spread(ctx, "env -i setsid sleep 1000 &", options=["--track=infer"])


def test_stopped_build(ctx):
    stopped_build(ctx)


def stopped_build(ctx, user=None):
    run = ctx.run(["sh", "-c", "sleep 1000 & sleep 1001 & wait"], user=user)
    ctx.wait(lambda: len(run.find("sleep")) == 2, "both sleepers")
    pids = [*run.find("sleep"), *run.find("sh")]
    for pid in pids:
        kill(pid, signal.SIGSTOP)
    ctx.wait(lambda: all(state_of(pid) == "T" for pid in pids), "all stopped")
    kill_front(ctx, run, pids)


def test_inference(ctx):
    spread(ctx, "setsid sleep 1000 &", options=["--track=infer"])


def test_build_that_forks_all_the_time(ctx):
    """Processes that come into being while the build is being ended do not escape."""
    forks_all_the_time(ctx)


def forks_all_the_time(ctx, user=None):
    forker = ctx.program("forker.py", (
        "import select, signal\n"
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "out = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)\n"
        # Each generation lives long enough to be met by somebody who looks, and their number is
        # bounded, so that a build that escapes does not flood the machine.
        "for generation in range(500):\n"
        "    if os.fork():\n"
        "        os._exit(0)\n"
        "    os.setsid()\n"
        "    select.select([], [], [], 0.03)\n"
        "    if generation in (1, 5):\n"
        "        os.write(out, b'up\\n')\n"
        "os.write(out, b'escaped\\n')\n"))
    log = f"{ctx.dir}/log"
    run = ctx.run(["sh", "-c", f"{forker} {log} & {forker} {log} & sleep 1000"], user=user)
    wait_lines(ctx, log, 4)
    kill_front(ctx, run, run.find("sleep"))
    ctx.wait(lambda: not ctx.leftovers(), "nobody of the build")
    expect_that("escaped" not in lines_of(log), "it was not ended, it went on to its own end")


def test_make_with_jobs(ctx):
    ctx.makefile("a", 12, "a")
    run = ctx.run(["make", "-C", "a"])
    ctx.desk.wait(lambda: len(ctx.desk.inside) == 4, "four jobs in")
    kill_front(ctx, run, [guest.pid for guest in ctx.desk.inside])


def test_front_and_command_killed(ctx):
    run = ctx.run(["sh", "-c", "sleep 1000 & job one"])
    ctx.desk.wait(lambda: ctx.desk.inside, "the job")
    pids = [*run.find("sleep"), ctx.desk.inside[0].pid]
    for pid in run.find("sh"):
        kill(pid)
    kill_front(ctx, run, pids)


def test_front_killed_after_an_arbiter_was(ctx):
    """The arbiter that took over knows how to end a build, too."""
    after_an_arbiter_was(ctx)


def after_an_arbiter_was(ctx, user=None):
    run = ctx.run(["sh", "-c", "setsid sleep 1000 & job one"], user=user)
    ctx.desk.wait(lambda: ctx.desk.inside, "the job")
    first = wait_arbiter(ctx, run)
    kill(first)
    wait_arbiter(ctx, run, other_than=first)
    kill_front(ctx, run, [*run.find("sleep"), ctx.desk.inside[0].pid])


def stages(ctx, run):
    """Events of a start, one after the other."""
    yield "started", lambda: True
    yield "executed", lambda: os.readlink(f"/proc/{run.pid}/exe").endswith("/tokenpool")
    yield "folder", lambda: bool(os.listdir(ctx.tmp))
    yield "first child", lambda: bool(descendants(run.pid))
    yield "arbiter", lambda: arbiter_child(run.pid) is not None
    yield "command", lambda: bool(run.find("sleep"))


def killed_while_it_starts(ctx, stage, turns):
    rng = random.Random(f"{ctx.seed} {stage}")
    for _ in range(turns):
        run = ctx.run(["sleep", "1000"], report=False)
        for name, reached in stages(ctx, run):
            # Spinning, so that the kill comes as soon as the event is there.
            while not run.ended():
                try:
                    if reached():
                        break
                except OSError:
                    pass
            if name == stage:
                break
        for _ in range(rng.randrange(2000)):
            pass
        family = descendants(run.pid)
        kill(run.pid)
        run.wait()
        wait_all_gone(ctx, family)
        expect_clean_folder(ctx)


@timeout(90)
def test_killed_when_just_started(ctx):
    killed_while_it_starts(ctx, "started", 20)


@timeout(90)
def test_killed_when_just_executed(ctx):
    killed_while_it_starts(ctx, "executed", 20)


@needs("static")  # a sanitizer has files of its own in TMPDIR
@timeout(90)
def test_killed_when_the_folder_is_there(ctx):
    killed_while_it_starts(ctx, "folder", 20)


@timeout(90)
def test_killed_when_the_first_child_is_there(ctx):
    killed_while_it_starts(ctx, "first child", 20)


@timeout(90)
def test_killed_when_the_arbiter_is_there(ctx):
    killed_while_it_starts(ctx, "arbiter", 20)


@timeout(90)
def test_killed_when_the_command_is_there(ctx):
    killed_while_it_starts(ctx, "command", 20)


@timeout(120)
def test_killed_while_it_ends(ctx):
    """At seeded moments around the end of the command: the folder goes in any case."""
    rng = random.Random(f"{ctx.seed} end")
    for _ in range(40):
        run = ctx.run(["sh", "-c", "exit 0"], report=False)
        while not run.ended() and not run.find("sh"):
            pass
        for _ in range(rng.randrange(60000)):
            pass
        kill(run.pid)
        run.wait()
        expect_that(run.status in (0, 128 + signal.SIGKILL), f"status {run.status}")
        expect_clean_folder(ctx)
        ctx.wait(lambda: not ctx.leftovers(), "nobody of the build")
