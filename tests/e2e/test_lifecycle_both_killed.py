"""Front and arbiter are killed in the same moment: what they leave, a later run removes."""

import glob
import os
import shutil
import signal

from harness import expect, expect_that, is_alive, kill, needs
from lifecycle_kit import (arbiter_child, expect_clean_folder, finished, folders, groups, state_of,
                           wait_all_gone, wait_lines)


def kill_both(ctx, run):
    """In the same moment: neither can do anything about the other's death."""
    both = [run.pid, arbiter_child(run.pid)]
    run.books = False
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in both:
            kill(pid, number)
        if number == signal.SIGSTOP:
            ctx.wait(lambda: all(state_of(pid) == "T" for pid in both), "both stopped")
    run.wait()
    wait_all_gone(ctx, both)


def is_populated(name):
    """Whether a process is in the group; one that has ended leaves it a moment later."""
    for group in groups(name):
        try:
            with open(f"{group}/cgroup.events", encoding="ascii") as file:
                if "populated 1" in file.read():
                    return True
        except FileNotFoundError:  # another test's run has found it
            pass
    return False


def openers(ctx, name):
    """Those of our processes that have the run's FIFO open."""
    found = []
    for pid in ctx.leftovers():
        try:
            files = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        except OSError:  # it is just ending
            files = [f"{name}/fifo"]
        found += [pid] * any(file.endswith(f"{name}/fifo") for file in files)
    return found


def dead_run(ctx, command=("job", "x")):
    """A run whose front and arbiter were killed and of whose build nobody is left. Answers the name
    of its folder."""
    known = folders(ctx)
    run = ctx.run(list(command))
    ctx.desk.wait(lambda: ctx.desk.inside, "the job")
    (name,) = [name for name in folders(ctx) if name not in known]
    kill_both(ctx, run)
    for guest in ctx.desk.inside:  # of a deeper build: the command itself dies with the front
        kill(guest.pid)
    ctx.wait(lambda: not ctx.desk.inside and not openers(ctx, name), "the end of the build")
    return name


def test_the_next_run_removes_folder_and_group(ctx):
    name = dead_run(ctx)
    expect(folders(ctx), [name], "what the dead left")
    ctx.wait(lambda: not is_populated(name), "an empty group")
    finished(ctx, ["true"])
    expect(os.listdir(ctx.tmp), [], "TMPDIR")
    expect(groups(name), [], "control groups")


def test_a_group_without_its_folder_goes_too(ctx):
    """As where a CI removes its TMPDIR."""
    name = dead_run(ctx)
    ctx.wait(lambda: not is_populated(name), "an empty group")
    shutil.rmtree(f"{ctx.tmp}/{name}")
    finished(ctx, ["true"])
    expect(groups(name), [], "control groups")


@needs("root")
def test_a_group_in_use_keeps_folder_and_group(ctx):
    """One of the build has closed the FIFO and lives on: nothing is removed until it has gone."""
    hiding = ctx.program("hiding.py", (
        "os.setsid()\n"
        "os.closerange(3, 4096)\n"
        "out = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)\n"
        "os.write(out, f'closed {os.getpid()}\\n'.encode())\n"
        "os.execve('/bin/sleep', ['sleep', '1000'], {})\n"))
    log = f"{ctx.dir}/log"
    before = f"{hiding} {log} & while ! grep -q closed {log}; do :; done"
    name = dead_run(ctx, ["sh", "-c", f"{before}; exec job x"])
    pid = int(wait_lines(ctx, log, 1)[0].split()[1])
    finished(ctx, ["true"])
    expect_that(is_alive(pid), "it was not ours to kill")
    expect(folders(ctx), [name] if groups(name) else [], "folders")
    kill(pid)
    ctx.wait_gone(pid)
    ctx.wait(lambda: not is_populated(name), "an empty group")
    finished(ctx, ["true"])
    expect((os.listdir(ctx.tmp), groups(name)), ([], []), "TMPDIR and groups")


def test_what_the_shims_noted_goes_too(ctx):
    ctx.makefile("a", 1, "a")
    name = dead_run(ctx, ["make", "-j8", "-C", f"{ctx.dir}/a"])
    ctx.wait(lambda: not is_populated(name), "an empty group")
    expect_that(glob.glob(f"{ctx.tmp}/*/tools/*"), "the shims noted nothing")
    finished(ctx, ["true"])
    expect(os.listdir(ctx.tmp), [], "TMPDIR")


def test_parallel_run_is_left_alone(ctx):
    """A third run removes what the dead one left while another one serves a build, four wide."""
    name = dead_run(ctx)
    ctx.wait(lambda: not is_populated(name), "an empty group")
    ctx.makefile("a", 12, "a")
    live = ctx.run(["make", "-C", f"{ctx.dir}/a"])
    ctx.desk.wait(lambda: ctx.desk.count() == 4, "four jobs in")
    finished(ctx, ["true"])
    expect_that(name not in folders(ctx) and len(folders(ctx)) == 1, f"{folders(ctx)}")
    ctx.desk.drive(4, total=12)
    live.finish()
    expect_clean_folder(ctx)


def test_survivor_of_the_build_keeps_its_folder(ctx):
    """As long as somebody has the FIFO open it is not dead."""
    run = ctx.run(["sh", "-c", "setsid sleep 1000 & exec job x"])
    ctx.desk.wait(lambda: ctx.desk.inside, "the job")
    ctx.wait(lambda: run.find("sleep"), "the sleeper")
    (sleeper,) = run.find("sleep")
    before = folders(ctx)
    kill_both(ctx, run)
    ctx.wait(lambda: not ctx.desk.inside, "the end of the command")
    finished(ctx, ["true"])
    expect_that(is_alive(sleeper), "it was not ours to kill")
    expect(folders(ctx), before, "folders")
    kill(sleeper)
    ctx.wait_gone(sleeper)
    ctx.wait(lambda: not is_populated(before[0]), "an empty group")
    finished(ctx, ["true"])
    expect(os.listdir(ctx.tmp), [], "TMPDIR")


def test_daemon_left_on_purpose_keeps_its_folder(ctx):
    run = ctx.run(["sh", "-c", "setsid sleep 1000 </dev/null >/dev/null 2>&1 & exec job x"])
    ctx.desk.wait(lambda: ctx.desk.inside, "the job")
    ctx.wait(lambda: run.find("sleep"), "the daemon")
    (sleeper,) = run.find("sleep")
    before = folders(ctx)
    ctx.desk.let_all_out(run)
    expect(run.finish()["left_running"], 1, "left running")
    finished(ctx, ["true"])
    expect(folders(ctx), before, "folders")
    kill(sleeper)
    ctx.wait_gone(sleeper)
    expect_clean_folder(ctx)
