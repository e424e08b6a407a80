"""The last resort: a build of which nothing moves while all slots are taken gets one more."""

import os
import signal

from harness import descendants, expect, expect_that, long, needs, timeout
from lifecycle_kit import state_of
from protocol_kit import reach
from test_status import wait_status

SOON = ["--standstill", "2"]


def stuck_line(run):
    return next((line for line in run.notes() if "nothing of the build moves" in line), None)


def stop(ctx, guest):
    ctx.kill(guest.pid, signal.SIGSTOP)
    ctx.wait(lambda: state_of(guest.pid) == "T", f"{guest} that is stopped")


def go_on(ctx, guest):
    ctx.kill(guest.pid, signal.SIGCONT)


def lines_on(run, guest):
    return [line for line in run.notes() if f"process {guest.pid} (job {guest.name}) " in line]


def wait_line(ctx, run, guest):
    """The one line on somebody who is stopped."""
    ctx.wait(lambda: lines_on(run, guest), f"a line on {guest}")
    lines = lines_on(run, guest)
    expect_that(len(lines) == 1 and "is stopped" in lines[0], f"one line on {guest}, not {lines}")
    return lines[0]


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


@long
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


@needs("make-4.3")
@timeout(120)
def test_short_jobs_that_just_wait_are_no_standstill(ctx):
    """They use no CPU to speak of, but come and go."""
    jobs = " ".join(f"w{number}" for number in range(24))
    ctx.write("m/Makefile", f"all: {jobs}\n.PHONY: all {jobs}\n{jobs}:\n\t@sleep 0.5\n")
    run = ctx.run(["make", "-C", "m"], tools=["make-4.3"], slots=2, options=["--standstill", "1"])
    report = run.finish()
    expect(report["stuck"], [], "who is stuck")


def stopped_jobs_test(ctx, options=()):
    """Jobs of a make are stopped, and later others: each is named once."""
    ctx.makefile("m", 8, "m")
    run = ctx.run(["make", "-C", "m"], tools=["make-4.3"], slots=2, options=[*SOON, *options])
    ctx.desk.wait(lambda: ctx.desk.count() == 2, "the jobs of the first slots")
    first, waits = ctx.desk.inside
    make = run.find("make")[-1]
    stop(ctx, first)
    ctx.desk.wait(lambda: ctx.desk.count() == 3, "one more beside those that are stuck")
    said = [wait_line(ctx, run, first)]
    expect(lines_on(run, waits), [], "lines on one that just waits")
    others = [waits, ctx.desk.inside[-1]]
    for guest in others:
        stop(ctx, guest)
    ctx.desk.wait(lambda: ctx.desk.count() == 4, "one more")
    said += [wait_line(ctx, run, guest) for guest in others]
    for guest in [first, *others]:
        wait_line(ctx, run, guest)
        go_on(ctx, guest)
    ctx.desk.let_all_out(run)
    report = run.finish(minted=2)
    halted = [row["halted"] for row in report["stuck"] if row["halted"]]
    expect(sorted(row["pid"] for row in halted), sorted(g.pid for g in [first, *others]), "halted")
    expect({row["state"] for row in halted}, {"stopped"}, "states")
    expect_that(halted[0]["command"] == f"job {first.name}", f"the first is {halted[0]}")
    return make, said, report


@needs("make-4.3")
@timeout(120)
def test_stopped_jobs_of_a_make(ctx):
    make, said, report = stopped_jobs_test(ctx)
    for line in said:
        expect_that(f", below process {make} (make -C m), " in line, line)
    expect({row["pid"] for row in report["stuck"]}, {make}, "who keeps the slots")


@needs("make-4.3")
@timeout(120)
def test_stopped_jobs_infer(ctx):
    _, said, report = stopped_jobs_test(ctx, ["--track=infer"])
    expect_that("1 slot did not come back" in said[0], said[0])
    expect({row["pid"] for row in report["stuck"]}, {0}, "who keeps the slots")


def stopped_on_one_slot_test(ctx, options=()):
    line = "".join(f"{ctx.tokenpool} exec -- job {name} &\n" for name in "ab") + "wait\n"
    run = ctx.run([ctx.script("x", line)], slots=1, options=[*SOON, *options])
    ctx.desk.wait(lambda: ctx.desk.count() == 1, "the first job")
    first = ctx.desk.inside[0]
    stop(ctx, first)
    ctx.desk.wait(lambda: ctx.desk.count() == 2, "the other one")
    expect_that("is stopped and keeps 1 slot" in wait_line(ctx, run, first), run.notes())
    go_on(ctx, first)
    ctx.desk.let_all_out(run)
    report = run.finish(minted=1)
    expect([(row["pid"], row["held"]) for row in report["stuck"]], [(first.pid, 1)], "stuck")


@timeout(120)
def test_stopped_on_the_only_slot(ctx):
    stopped_on_one_slot_test(ctx)


@timeout(120)
def test_stopped_on_the_only_slot_infer(ctx):
    stopped_on_one_slot_test(ctx, ["--track=infer"])


def wide_test(ctx, options=()):
    """Slots are free, but fewer than one wants that is next."""
    first = "".join(f"{ctx.tokenpool} exec -- job {name} &\n" for name in "ab")
    line = f"{first}job go\n{ctx.tokenpool} exec --slots 2 -- job wide\nwait\n"
    run = ctx.run([ctx.script("x", line)], slots=3, options=[*SOON, *options])
    ctx.desk.wait(lambda: ctx.desk.count() == 3, "two jobs and one that is none")
    for guest in list(ctx.desk.inside):
        if guest.name == "go":
            ctx.desk.release(guest)
        else:
            stop(ctx, guest)
    ctx.desk.wait(lambda: ctx.desk.count("wide") == 1, "the wide one")
    for guest in ctx.desk.inside[:2]:
        wait_line(ctx, run, guest)
        go_on(ctx, guest)
    ctx.desk.let_all_out(run)
    run.finish(minted=1)


@timeout(120)
def test_wide(ctx):
    wide_test(ctx)


@timeout(120)
def test_wide_infer(ctx):
    wide_test(ctx, ["--track=infer"])


def limit_test(ctx, slots, options=()):
    """The only job of its type that may run is stopped: it is named, and the limit stays."""
    line = f"{ctx.tokenpool} set limit.link=1\n"
    line += "".join(f"{ctx.tokenpool} exec --type link -- job {name} &\n" for name in "abc")
    run = ctx.run([ctx.script("x", line + "wait\n")], slots=slots, options=[*SOON, *options])
    ctx.desk.wait(lambda: ctx.desk.count() == 1, "the first job")
    wait_status(ctx, reach(ctx, run), lambda seen: seen["waiting_total"] == 2, "two that wait")
    first = ctx.desk.inside[0]
    stop(ctx, first)
    said = wait_line(ctx, run, first)
    for word in ("fills the limit of type link (1) while 2 others wait",
                 "tokenpool set limit.link=2"):
        expect_that(word in said, said)
    expect(ctx.desk.count(), 1, "jobs")
    go_on(ctx, first)
    ctx.desk.drive(1, total=3)
    ctx.desk.let_all_out(run)
    report = run.finish()
    (row,) = report["stuck"]
    expect((row["pid"], row["held"]), (first.pid, 1), "stuck")
    expect(row["halted"], {"pid": first.pid, "command": f"job {first.name}", "state": "stopped"},
           "halted")
    expect(row["limit"], {"type": "link", "jobs": 1, "waiting": 2}, "the limit")


@timeout(120)
def test_limit(ctx):
    limit_test(ctx, 4)


@timeout(120)
def test_limit_infer(ctx):
    limit_test(ctx, 4, ["--track=infer"])


@timeout(120)
def test_limit_on_one_slot(ctx):
    limit_test(ctx, 1)


@timeout(120)
def test_limit_of_jobs_that_just_wait(ctx):
    """They are given more time, and each is named once."""
    line = f"{ctx.tokenpool} set limit.link=1\n"
    line += "".join(f"{ctx.tokenpool} exec --type link -- job {name} &\n" for name in "ab")
    run = ctx.run([ctx.script("x", line + "wait\n")], options=["--standstill", "1"])
    ctx.wait(lambda: "has not moved for long" in run.stderr(), "a line")
    (first,) = ctx.desk.inside
    expect(len(lines_on(run, first)), 1, "lines")
    ctx.desk.let_all_out(run)
    report = run.finish()
    expect([(row["pid"], row["halted"]) for row in report["stuck"]], [(first.pid, None)], "stuck")


def last_job_test(ctx, slots, options=()):
    """A make has nothing to do but to wait for a job that is stopped. No slot would help."""
    ctx.makefile("m", 2, "m")
    run = ctx.run(["make", "-C", "m"], tools=["make-4.3"], slots=slots, options=[*SOON, *options])
    ctx.desk.wait(lambda: ctx.desk.count() == min(2, slots), "the first jobs")
    for guest in ctx.desk.inside[1:]:
        ctx.desk.release(guest)
    ctx.desk.wait(lambda: ctx.desk.count() == 1, "the last one")
    last = ctx.desk.inside[0]
    stop(ctx, last)
    expect_that("nothing of the build moves" in wait_line(ctx, run, last), run.notes())
    go_on(ctx, last)
    ctx.desk.let_all_out(run)
    report = run.finish()
    (row,) = report["stuck"]
    expect((row["pid"], row["held"], row["halted"]["pid"]), (0, 0, last.pid), "stuck")


@needs("make-4.3")
@timeout(120)
def test_last_job(ctx):
    last_job_test(ctx, 2)


@needs("make-4.3")
@timeout(120)
def test_last_job_infer(ctx):
    last_job_test(ctx, 4, ["--track=infer"])


@needs("make-4.3")
@timeout(120)
def test_one_slot(ctx):
    last_job_test(ctx, 1)


@timeout(120)
def test_stopped_at_a_prompt(ctx):
    """What a shell with job control has stopped is not named, something else is."""
    script = ctx.script("x", "set -m\njob a &\nset +m\njob b &\nwait %2\nfg\n")
    run = ctx.run(["bash", script], options=SOON)
    ctx.desk.wait(lambda: ctx.desk.count() == 2, "both jobs")
    one, other = sorted(ctx.desk.inside, key=lambda guest: guest.name)
    for guest in (one, other):
        stop(ctx, guest)
    wait_line(ctx, run, other)
    expect(lines_on(run, one), [], "lines on the one of the shell")
    for guest in (one, other):
        go_on(ctx, guest)
    ctx.desk.let_all_out(run)
    report = run.finish(status=None)
    expect([row["halted"]["pid"] for row in report["stuck"]], [other.pid], "stuck")


@timeout(120)
def test_who_waits_for_a_disk(ctx):
    """As one does whose network file system is lost: here the parent of a vfork, whose child waits
    for a writer."""
    fifo = f"{ctx.dir}/fifo"
    os.mkfifo(fifo)
    action = f"(os.POSIX_SPAWN_OPEN, 0, {fifo!r}, os.O_RDONLY, 0)"
    spawn = f"os.posix_spawn('/bin/true', ['true'], {{}}, file_actions=[{action}])"
    lost = ctx.program("lost", spawn + "\n")
    line = f"{ctx.tokenpool} exec -- {lost} &\njob go\n"
    line += f"{ctx.tokenpool} exec -- job b\nwait\n"
    run = ctx.run([ctx.script("x", line)], slots=1, options=["--standstill", "1"])
    ctx.desk.wait(lambda: ctx.desk.count("go") == 1, "the job of no lease")
    ctx.wait(lambda: any(state_of(pid) == "D" for pid in descendants(run.pid)), "one that waits")
    ctx.desk.release(ctx.desk.inside[0])
    ctx.desk.wait(lambda: ctx.desk.count("b") == 1, "the job behind it")
    with open(fifo, "wb"):
        pass
    ctx.desk.let_all_out(run)
    report = run.finish(minted=1)
    (row,) = report["stuck"]
    expect((row["held"], row["halted"]["state"]), (1, "disk"), "stuck")
    expect_that(any(f"process {row['pid']} " in line and "waits for a disk" in line
                    for line in run.notes()), run.notes())
