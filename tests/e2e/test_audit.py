"""The audit itself: what it has to find at the end of a test, it finds."""

import os
import signal

import harness
from harness import expect, expect_that, needs


def failure_of(function):
    try:
        function()
    except harness.Failure as failure:
        return str(failure)
    return ""


def run_with_a_crash(ctx):
    """An arbiter that crashes, as a failed CHECK or a sanitizer's finding ends it."""
    run = ctx.run(["job", "one"])
    ctx.desk.wait(lambda: ctx.desk.inside, "the job")
    arbiter = run.arbiter()
    os.kill(arbiter, signal.SIGABRT)
    ctx.wait_gone(arbiter)
    ctx.desk.release(ctx.desk.inside[0])
    return run, arbiter


def test_a_crash_of_the_arbiter_in_the_report(ctx):
    run, arbiter = run_with_a_crash(ctx)
    expect(failure_of(run.finish), "1 arbiters died, the test has killed 0", "the books' finding")
    harness.arbiters_killed.add(arbiter)
    run.finish()


def test_a_crash_of_the_arbiter_on_stderr(ctx):
    run, arbiter = run_with_a_crash(ctx)
    run.wait()
    expect(failure_of(run.check_stderr), "1 arbiters died, the test has killed 0", "the finding")
    harness.arbiters_killed.add(arbiter)


def test_a_finding_of_a_sanitizer(ctx):
    for text in ("ERROR: LeakSanitizer: detected memory leaks",
                 "WARNING: ThreadSanitizer: data race",
                 "core/pool.cc:7: runtime error: signed integer overflow",
                 "tokenpool: internal error: CHECK(free >= 0) failed"):
        run = ctx.run(["sh", "-c", "cat >&2 " + ctx.write("said", text)])
        run.finish()
        expect_that(" has " in failure_of(ctx.no_crash), f"{text!r} was found")
        os.truncate(run.err_path, 0)


def test_one_job_too_many_for_a_moment(ctx):
    run = ctx.run(["sh", "-c", "job one & job two & wait"])

    def one_leaves_again():
        ctx.desk.wait(lambda: ctx.desk.count() == 2, "both jobs")
        ctx.desk.release(ctx.desk.held()[0])
        ctx.desk.wait(lambda: ctx.desk.count() == 1, "the end of one")
        return True

    failure = failure_of(lambda: ctx.desk.drive(1, until=one_leaves_again))
    expect_that(failure.startswith("2 jobs at once, not 1"), f"{failure!r} tells of it")
    ctx.desk.let_all_out(run)
    run.finish()
