"""The last resort: a build of which nothing moves while all slots are taken gets one more."""

from harness import expect, expect_that, needs, timeout

SOON = ["--standstill", "2"]


def stuck_line(run):
    return next((line for line in run.notes() if "nothing of the build moves" in line), None)


def make_test(ctx, options=(), kill_arbiter=False):
    """All jobs of a make are stuck; one more comes in. When they go on after all, there are as many
    slots as before."""
    ctx.makefile("m", 14, "m")
    run = ctx.run(["make", "-C", "m"], tools=["make-4.3"], slots=2, options=[*SOON, *options])
    ctx.desk.wait(lambda: ctx.desk.count() == 2, "the jobs that get stuck")
    stuck = list(ctx.desk.inside)
    ctx.desk.wait(lambda: ctx.desk.count() == 3, "one more beside those that are stuck")
    make = run.find("make")[-1]
    if kill_arbiter:
        killed = run.arbiter()
        ctx.kill(killed)
        ctx.wait(lambda: run.arbiter() not in (None, killed), "another arbiter")
    for guest in [*stuck, *ctx.desk.held()]:
        if not guest.released:
            ctx.desk.release(guest)
    return run, make


@needs("make-4.3")
@timeout(120)
def test_make(ctx):
    run, make = make_test(ctx)
    ctx.desk.let_all_out(run)
    report = run.finish(minted=1)
    expect(report["stuck"][0]["pid"], make, "who is stuck")
    expect(report["stuck"][0]["held"], 1, "tokens that it keeps")
    line = stuck_line(run)
    expect_that(line and f"process {make} (make -C m) keeps 1 slot" in line, f"the line is {line}")


@needs("make-4.3")
@timeout(120)
def test_arbiter_killed_meanwhile(ctx):
    run, _ = make_test(ctx, kill_arbiter=True)
    ctx.desk.let_all_out(run)
    run.finish(minted=1)


@needs("make-4.3")
@timeout(120)
def test_infer(ctx):
    run, _ = make_test(ctx, ["--track=infer"])
    ctx.desk.let_all_out(run)
    report = run.finish(minted=1)
    expect(report["stuck"][0]["pid"], 0, "who is stuck")
    expect_that("1 slot did not come back" in stuck_line(run), stuck_line(run))


def exec_test(ctx, slots):
    names = " ".join(f"j{i}" for i in range(6))
    line = f"echo {names} | xargs -n 1 -P 6 {ctx.tokenpool} exec -- job\n"
    run = ctx.run([ctx.script("x", line)], slots=slots, options=SOON)
    ctx.desk.wait(lambda: ctx.desk.count() == slots, "the jobs that get stuck")
    ctx.desk.wait(lambda: ctx.desk.count() == slots + 1, "one more beside those that are stuck")
    ctx.desk.let_all_out(run)
    report = run.finish(minted=1)
    expect_that(stuck_line(run), "nobody said it")
    return report


@timeout(120)
def test_leases(ctx):
    report = exec_test(ctx, 2)
    expect_that(report["stuck"] and all(row["command"].startswith("job j") for row in report["stuck"]),
                f"stuck is {report['stuck']}")


@timeout(120)
def test_leases_on_one_slot(ctx):
    exec_test(ctx, 1)


@needs("make-4.3")
@timeout(120)
def test_who_computes_does_not_stand_still(ctx):
    spin = "import time\nend = time.process_time() + 4\nwhile time.process_time() < end: pass\n"
    program = ctx.program("spin", spin)
    ctx.write("m/Makefile", f"all: a b c\n.PHONY: all a b c\na b c:\n\t@{program}\n")
    run = ctx.run(["make", "-C", "m"], tools=["make-4.3"], slots=2, options=["--standstill", "1"])
    run.finish()
    expect(stuck_line(run), None, "the line")


def test_bad_times(ctx):
    for bad in ("0", "x", "-1", "1.5", "100000", ""):
        failed = ctx.spawn([ctx.tokenpool, "run", f"--standstill={bad}", "--", "true"])
        failed.wait()
        expect(failed.status, 2, f"status for {bad}")
        expect_that("--standstill" in failed.stderr(), failed.stderr())
