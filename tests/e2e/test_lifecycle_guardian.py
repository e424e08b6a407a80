"""What the command left running is served on when the arbiter is killed after the run has returned."""

import signal

from harness import expect_that, kill
from lifecycle_kit import arbiter_child, expect_clean_folder, wait_all_gone
from test_lifecycle_left_running import Daemon, held_by_the_daemon


def serving(ctx, daemon, other_than=None):
    """The arbiter below the one that guards it, once it is there."""
    found = []

    def look():
        pid = arbiter_child(daemon.arbiter)
        found[:] = [pid] if pid not in (None, other_than) else []
        return bool(found)

    ctx.wait(look, "an arbiter below its guardian")
    return found[0]


def kill_and_go_on(ctx, daemon, pid):
    kill(pid, signal.SIGKILL)
    daemon.expect_working()
    daemon.say("take")
    daemon.say("give")


def test_killed_arbiter_is_replaced(ctx):
    daemon = Daemon(ctx)
    daemon.run.finish(0)
    first = serving(ctx, daemon)
    kill_and_go_on(ctx, daemon, first)
    second = serving(ctx, daemon, first)
    kill_and_go_on(ctx, daemon, second)
    arbiters = [daemon.arbiter, serving(ctx, daemon, second)]
    daemon.end()
    wait_all_gone(ctx, arbiters)
    expect_clean_folder(ctx)


def test_killed_guardian_leaves_the_arbiter(ctx):
    daemon = Daemon(ctx)
    daemon.run.finish(0)
    arbiter = serving(ctx, daemon)
    kill_and_go_on(ctx, daemon, daemon.arbiter)
    daemon.end()
    wait_all_gone(ctx, [arbiter])
    expect_clean_folder(ctx)


def test_arbiters_that_keep_dying_leave_a_plain_jobserver(ctx):
    daemon = Daemon(ctx)
    daemon.run.finish(0)
    last = None
    for _ in range(8):
        last = serving(ctx, daemon, last)
        kill(last, signal.SIGKILL)
    daemon.expect_working()
    bypassing = serving(ctx, daemon, last)
    expect_that(bypassing != daemon.arbiter, "it is a process of its own")
    daemon.say("take")
    daemon.say("give")
    daemon.end()
    wait_all_gone(ctx, [daemon.arbiter, bypassing])
    expect_clean_folder(ctx)


def test_token_that_the_daemon_holds_is_its_own_in_the_new_books(ctx):
    daemon = held_by_the_daemon(ctx)
    kill(serving(ctx, daemon), signal.SIGKILL)
    daemon.say("give")
    daemon.end()
    wait_all_gone(ctx, [daemon.arbiter])
    expect_clean_folder(ctx)
