"""Signals to the front of a run without a terminal: the build gets each once, a second one ends it."""

import os
import signal

from harness import NOBODY, descendants, expect, expect_that, kill, needs
from lifecycle_kit import COUNTER, arbiter_child, lines_of, state_of, wait_all_gone, wait_lines


def start_counter(ctx, *wrap, command=()):
    """A run of a counting process with a counting child; answers (run, log)."""
    counter = ctx.program("counter.py", COUNTER)
    log = f"{ctx.dir}/log"
    run = ctx.run([*command, counter, log, "parent"], wrap=wrap)
    wait_lines(ctx, log, 1, "parent ready")
    wait_lines(ctx, log, 1, "child ready")
    return run, log


def fence(ctx, run, log):
    """SIGUSR1 ends both, after everything that was sent before it."""
    kill(run.front(), signal.SIGUSR1)
    wait_lines(ctx, log, 1, "parent SIGUSR1")
    wait_lines(ctx, log, 1, "child SIGUSR1")
    run.finish(0)


def seen(log, role, name):
    return lines_of(log).count(f"{role} {name}")


def check_once(ctx, name):
    run, log = start_counter(ctx)
    kill(run.pid, getattr(signal, name))
    wait_lines(ctx, log, 1, f"parent {name}")
    wait_lines(ctx, log, 1, f"child {name}")
    fence(ctx, run, log)
    expect([seen(log, role, name) for role in ("parent", "child")], [1, 1], f"times {name} came")
    others = {"SIGINT", "SIGTERM", "SIGHUP"} - {name}
    expect([seen(log, "parent", other) for other in others], [0, 0], "other signals that came")


def test_sigint_reaches_the_build_once(ctx):
    check_once(ctx, "SIGINT")


def test_sigterm_reaches_the_build_once(ctx):
    check_once(ctx, "SIGTERM")


def test_sighup_reaches_the_build_once(ctx):
    check_once(ctx, "SIGHUP")


def test_usr_signals_are_passed_on_and_do_not_count_as_wishes_to_end(ctx):
    run, log = start_counter(ctx)
    fence(ctx, run, log)
    expect([seen(log, role, "SIGUSR1") for role in ("parent", "child")], [1, 1], "times it came")


def test_stopped_arbiter_goes_on_where_the_build_is_told_to_end(ctx):
    run, log = start_counter(ctx)
    arbiter = arbiter_child(run.pid)
    kill(arbiter, signal.SIGSTOP)
    ctx.wait(lambda: state_of(arbiter) == "T", "an arbiter that stands still")
    kill(run.pid, signal.SIGTERM)
    ctx.wait(lambda: state_of(arbiter) != "T", "an arbiter that goes on")
    wait_lines(ctx, log, 1, "parent SIGTERM")
    fence(ctx, run, log)


def second_kills(ctx, first, second):
    run, log = start_counter(ctx)
    pids = [int(line.split()[-1]) for line in lines_of(log)]
    kill(run.pid, first)
    wait_lines(ctx, log, 1, f"parent {signal.Signals(first).name}")
    # Two at nearly the same moment are one wish (timeout(1) sends two): ask until it is granted.
    ctx.wait(lambda: run.ended() or (kill(run.pid, second) and run.ended()), "the run's end")
    run.finish(128 + signal.SIGKILL)
    wait_all_gone(ctx, pids)


def test_second_sigint_kills(ctx):
    second_kills(ctx, signal.SIGINT, signal.SIGINT)


def test_second_sighup_kills(ctx):
    second_kills(ctx, signal.SIGHUP, signal.SIGHUP)


def test_second_sigterm_kills(ctx):
    second_kills(ctx, signal.SIGTERM, signal.SIGTERM)


def test_sighup_after_sigterm_kills(ctx):
    second_kills(ctx, signal.SIGTERM, signal.SIGHUP)


def test_sigterm_after_sigint_kills(ctx):
    second_kills(ctx, signal.SIGINT, signal.SIGTERM)


def test_second_one_kills_also_what_left_the_group(ctx):
    """setsid, a new group, a cleaned environment: nothing of the build outlives it."""
    script = ctx.script("spread.sh", (
        "trap '' INT TERM HUP\n"
        "setsid sleep 1000 & env -i sleep 1001 & setsid env -i setsid sleep 1002 &\n"
        "set -m; sleep 1003 & set +m\n"
        "job --say up x\nwhile :; do wait; done\n"))
    run = ctx.run([script])
    ctx.desk.wait(lambda: ctx.desk.has_said("up"), "the script's children")
    ctx.wait(lambda: len(run.find("sleep")) == 4, "four sleepers")
    pids = run.find("sleep")
    ctx.wait(lambda: run.ended() or (kill(run.pid, signal.SIGTERM) and run.ended()), "the run's end")
    run.finish(128 + signal.SIGKILL)
    wait_all_gone(ctx, pids)


def test_status_is_that_of_the_signal_when_the_build_dies_of_it(ctx):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        entered = ctx.desk.entered
        run = ctx.run(["job", "one"])
        ctx.desk.wait(lambda: ctx.desk.entered > entered, "the job")
        kill(run.pid, number)
        run.finish(128 + number)


def test_make_that_is_interrupted_ends_as_it_does_alone(ctx):
    ctx.makefile("a", 12, "a")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        run = ctx.run(["make", "-C", "a"])
        ctx.desk.wait(lambda: len(ctx.desk.inside) == 4, "four jobs in")
        pids = [guest.pid for guest in ctx.desk.inside]
        kill(run.pid, number)
        run.finish(None)
        expect_that(run.status in (2, 128 + number), f"status {run.status}")
        wait_all_gone(ctx, pids)
        ctx.wait(lambda: not ctx.desk.inside, "nobody inside")


@needs("timeout")
def test_timeout_sends_two_signals_that_are_one_wish(ctx):
    """timeout(1) signals its child and then the whole group; SIGALRM makes it think the time is up."""
    run, log = start_counter(ctx, "timeout", "-s", "TERM", "100000")
    kill(run.pid, signal.SIGALRM)
    wait_lines(ctx, log, 1, "parent SIGTERM")
    wait_lines(ctx, log, 1, "child SIGTERM")
    kill(run.front(), signal.SIGUSR1)
    wait_lines(ctx, log, 1, "parent SIGUSR1")
    run.finish(124)
    expect([seen(log, role, "SIGTERM") for role in ("parent", "child")], [1, 1], "times it came")


@needs("timeout")
def test_timeout_with_kill_leaves_nothing(ctx):
    run, log = start_counter(ctx, "timeout", "-s", "KILL", "100000")
    run.books = False
    pids = [int(line.split()[-1]) for line in lines_of(log)]
    kill(run.pid, signal.SIGALRM)
    expect(run.wait(), 128 + signal.SIGKILL, "status")
    run.checked = True
    wait_all_gone(ctx, pids)
    ctx.wait(lambda: not os.listdir(ctx.tmp), "an empty TMPDIR")


def stop_and_continue(ctx, user=None):
    ctx.makefile("m", 20, "m")
    ctx.write("t/Makefile", "all:\n\t+@$(MAKE) -C ../m\n")
    run = ctx.run(["make", "-C", "t"], user=user)
    ctx.desk.wait(lambda: ctx.desk.count() == 4, "four jobs in")
    arbiter = arbiter_child(run.pid)
    build = [pid for pid in descendants(run.pid) if pid != arbiter]
    expect_that(len(build) >= 6, f"two makes and four jobs among {build}")
    for _ in range(2):
        kill(run.pid, signal.SIGTSTP)
        ctx.wait(lambda: all(state_of(pid) == "T" for pid in [run.pid, *build]),
                 "front and build stopped")
        leaving = ctx.desk.held()[0]
        ctx.desk.release(leaving)
        kill(run.pid, signal.SIGCONT)
        ctx.wait(lambda: all(state_of(pid) != "T" for pid in [run.pid, *build]),
                 "front and build going on")
        ctx.desk.wait(lambda: leaving not in ctx.desk.inside, "the end of the job")
        ctx.desk.wait(lambda: ctx.desk.count() == 4, "four jobs in")
        build = [pid for pid in descendants(run.pid) if pid != arbiter]
    ctx.desk.drive(4, total=8)
    ctx.desk.let_all_out(run)
    run.finish()


def test_stop_and_continue(ctx):
    """SIGTSTP to the front stops front and build, SIGCONT continues both."""
    stop_and_continue(ctx)


@needs("user")
def test_stop_and_continue_as_user(ctx):
    stop_and_continue(ctx, NOBODY)


def test_signals_while_it_starts(ctx):
    """A SIGTERM at any moment of the start ends the run without a trace."""
    for turn in range(40):
        run = ctx.run(["sleep", "1000"], report=False)
        # Further and further into the start, event by event.
        seen_states = 0
        while seen_states < turn and not run.ended():
            descendants(run.pid)
            seen_states += 1
        kill(run.pid, signal.SIGTERM)
        run.wait()
        expect_that(run.status in (128 + signal.SIGTERM, 125), f"status {run.status}")
        pids = descendants(run.pid)
        expect(pids, [], "left running")
