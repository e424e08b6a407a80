"""Elastic pools: `-j MIN-MAX` and `-j auto`.

What the machine does is what a file in place of /proc/stat says: CPUs that are idle, or threads
that wait for one. So nothing here depends on what else runs, nor on time.
"""

import os
import signal
import threading

from harness import expect, expect_that, needs
from lifecycle_kit import cli, expect_one_line
from protocol_kit import reach
from test_status import let_out, look, serve, tell, wait_status

IDLE, BUSY = 1, 90  # threads that run, the reader of the file included
CPUS = sorted(os.sched_getaffinity(0))[:2]
MOST = 3 * len(CPUS)  # that -j auto gives so many CPUs


class Machine:
    """What the programs that are started with `wrap` see of it."""

    def __init__(self, ctx, running=IDLE):
        self.path = f"{ctx.dir}/stat"
        self.running, self.ticks = running, 0
        with open(self.path, "wb"):
            pass
        self.over = threading.Event()
        threading.Thread(target=self._tell, daemon=True).start()
        self.wrap = ["taskset", "-c", ",".join(map(str, CPUS)), "bwrap", "--dev-bind", "/", "/",
                     "--bind", self.path, "/proc/stat"]

    def says(self, running):
        self.running = running

    def _tell(self):
        """In one write of always the same length, as the file is kept open. The CPUs of a busy
        machine are in use for longer than any time that may have passed."""
        while not self.over.wait(0.01):
            self.ticks += 100 if self.running == BUSY else 0
            lines = [f"cpu{number} {self.ticks:12} 0 0 0 0 0 0 0 0 0" for number in CPUS]
            lines += [f"procs_running {self.running:3}", ""]
            file = os.open(self.path, os.O_WRONLY)
            os.pwrite(file, "\n".join(lines).encode(), 0)
            os.close(file)


def make_run(ctx, machine, slots=(1, MOST), jobs=200, **options):
    """A make with as many jobs in as an idle machine is given."""
    ctx.makefile("a", jobs, "a")
    run = ctx.run(["make", "-C", "a"], slots=slots, tools=["make-4.3"], wrap=machine.wrap,
                  **options)
    ctx.desk.wait(lambda: ctx.desk.count() == slots[1], "jobs for idle CPUs")
    return run


def bounds(status):
    return status.get("slots_min"), status.get("slots_max")


def finish(ctx, run, most=MOST, counted=True):
    ctx.desk.let_all_out(run)
    report = run.finish()
    expect(ctx.desk.peak, most, "most jobs at once")
    if counted:
        expect(report["slots"]["peak_in_use"], most, "most slots in use")
    return report


@needs("make-4.3", "bwrap", "taskset")
def test_idle_cpus_are_given_jobs(ctx):
    """More than there are CPUs, for jobs that do nothing while they hold a token."""
    run = make_run(ctx, Machine(ctx))
    status = look(ctx, reach(ctx, run))
    expect((status["slots"], bounds(status)), (MOST, (1, MOST)), "slots")
    text = tell(ctx, reach(ctx, run), "status")
    expect_that(f"Slots     {MOST} of 1-{MOST}: " in text, text)
    slots = finish(ctx, run)["slots"]
    expect([slots[key] for key in ("min", "max")], [1, MOST], "range")


@needs("make-4.3", "bwrap", "taskset")
def test_never_more_than_the_most(ctx):
    run = make_run(ctx, Machine(ctx), (1, MOST - 1))
    finish(ctx, run, MOST - 1)


@needs("make-4.3", "bwrap", "taskset")
def test_more_than_three_for_each_cpu_where_they_are_asked_for(ctx):
    """Jobs that wait for other machines need no CPU."""
    run = make_run(ctx, Machine(ctx), (1, 2 * MOST))
    finish(ctx, run, 2 * MOST)


@needs("ninja-1.13.2", "bwrap", "taskset")
def test_idle_cpus_with_ninja(ctx):
    """It looks for tokens only when one of its jobs ends, and then takes all that lie there."""
    machine = Machine(ctx)
    ctx.ninjafile("n", 200, "n")
    run = ctx.run(["ninja", "-C", "n"], slots=(1, MOST), tools=["ninja-1.13.2"], wrap=machine.wrap)
    ctx.desk.wait(lambda: ctx.desk.count() >= len(CPUS), "jobs for all CPUs")
    variables = reach(ctx, run)
    while ctx.desk.count() < MOST:
        wait_status(ctx, variables, lambda seen: seen["slots"] > ctx.desk.count(), "another slot")
        # Those that come later wait for the next end of a job.
        slots = look(ctx, variables)["slots"]
        ctx.desk.release(ctx.desk.held()[0])
        ctx.desk.wait(lambda: ctx.desk.count() >= slots, "a job for each slot")
    finish(ctx, run)


@needs("make-4.3", "bwrap", "taskset")
def test_auto(ctx):
    machine = Machine(ctx)
    ctx.makefile("a", 50, "a")
    report = f"{ctx.dir}/auto.json"
    run = ctx.spawn([ctx.tokenpool, "run", "-jauto", "--report", report, "make", "-C", "a"],
                    slots=(1, MOST), report_path=report, tools=["make-4.3"], wrap=machine.wrap)
    ctx.desk.wait(lambda: ctx.desk.count() == MOST, "three jobs for each CPU")
    expect(bounds(look(ctx, reach(ctx, run))), (1, MOST), "range")
    finish(ctx, run)


def withhold(ctx, machine, run):
    """Others make the machine busy: no job is interrupted, but only one slot is left."""
    variables = reach(ctx, run)
    inside = ctx.desk.count()
    machine.says(BUSY)
    wait_status(ctx, variables, lambda seen: seen["slots"] == 1, "one slot")
    expect(ctx.desk.count(), inside, "jobs inside")
    return variables


def narrow(ctx):
    """All that are inside are let out: afterwards there is one at a time."""
    for guest in ctx.desk.held()[:-1]:
        ctx.desk.release(guest)
    ctx.desk.wait(lambda: ctx.desk.count() == 1, "one job")
    ctx.desk.drive(1, total=10)


@needs("make-4.3", "bwrap", "taskset")
def test_tokens_that_come_back_are_withheld_under_load(ctx):
    machine = Machine(ctx)
    run = make_run(ctx, machine)
    variables = withhold(ctx, machine, run)
    for guest in ctx.desk.held()[:-1]:
        ctx.desk.release(guest)
    ctx.desk.wait(lambda: ctx.desk.count() == 1, "one job")
    machine.says(IDLE)
    ctx.desk.wait(lambda: ctx.desk.count() == MOST, "jobs for CPUs that are idle again")
    expect(look(ctx, variables)["slots"], MOST, "slots")
    finish(ctx, run)


@needs("make-4.3", "bwrap", "taskset")
def test_one_at_a_time_under_load(ctx):
    machine = Machine(ctx)
    run = make_run(ctx, machine)
    withhold(ctx, machine, run)
    narrow(ctx)
    expect(finish(ctx, run)["slots"]["final"], 1, "slots at the end")


@needs("make-4.3", "bwrap", "taskset")
def test_inferred(ctx):
    """Without a ledger."""
    machine = Machine(ctx)
    run = make_run(ctx, machine, options=["--track", "infer"])
    variables = reach(ctx, run)
    machine.says(BUSY)
    # The make takes what comes back unless the arbiter is first, so it takes a few of them.
    while look(ctx, variables)["slots"] > 1:
        for guest in ctx.desk.held()[:-1]:
            ctx.desk.release(guest)
        ctx.desk.pump(0.01)
    finish(ctx, run, counted=False)


@needs("make-4.3", "bwrap", "taskset")
def test_a_new_arbiter_goes_on(ctx):
    """With as many slots as there were, and goes on measuring."""
    machine = Machine(ctx)
    run = make_run(ctx, machine)
    variables = reach(ctx, run)
    dead = run.arbiter()
    ctx.kill(dead)
    ctx.wait(lambda: run.arbiter() not in (None, dead), "the next arbiter")
    status = look(ctx, variables)
    expect((status["slots"], bounds(status)), (MOST, (1, MOST)), "slots")
    withhold(ctx, machine, run)
    dead = run.arbiter()
    ctx.kill(dead)
    ctx.wait(lambda: run.arbiter() not in (None, dead), "the next arbiter")
    narrow(ctx)
    expect(finish(ctx, run)["slots"]["final"], 1, "slots at the end")


@needs("make-4.3", "bwrap", "taskset")
def test_killed_again_and_again_while_slots_change(ctx):
    machine = Machine(ctx)
    run = make_run(ctx, machine)
    variables = reach(ctx, run)
    for running in (BUSY, IDLE, BUSY, IDLE):
        before = look(ctx, variables)["slots"]
        machine.says(running)
        wait_status(ctx, variables, lambda seen, old=before: seen["slots"] != old, "other slots")
        ctx.desk.release(ctx.desk.held()[0])
        dead = run.arbiter()
        ctx.kill(dead)
        ctx.wait(lambda old=dead: run.arbiter() not in (None, old), "the next arbiter")
    ctx.desk.wait(lambda: ctx.desk.count() == MOST, "jobs for CPUs that are idle again")
    report = finish(ctx, run)
    expect(report["tokens"]["refused"], 0, "tokens refused")


@needs("make-4.3", "bwrap", "taskset")
def test_what_is_set_stays(ctx):
    machine = Machine(ctx)
    run = make_run(ctx, machine)
    variables = reach(ctx, run)
    expect(tell(ctx, variables, "set", "jobs=2"), "slots 2, no limits\n", "now")
    expect(bounds(look(ctx, variables)), (None, None), "range")
    dead = run.arbiter()
    ctx.kill(dead)
    ctx.wait(lambda: run.arbiter() not in (None, dead), "the next arbiter")
    status = look(ctx, variables)
    expect((status["slots"], bounds(status)), (2, (None, None)), "slots")
    let_out(ctx, ctx.desk.held()[:-2])
    ctx.desk.drive(2, total=20)
    finish(ctx, run)


@needs("bwrap", "taskset")
def test_wide_leases(ctx):
    """What fits into the range is to be had, however busy the machine; more never is."""
    machine = Machine(ctx, BUSY)
    wide = f"{ctx.tokenpool} exec --slots {MOST - 1} job wide"
    wider = f"{ctx.tokenpool} exec --slots {MOST + 1} job wider"
    run = ctx.run(["sh", "-c", f"job first & {wide}; {wider} || job after; wait"],
                  slots=(1, MOST), wrap=machine.wrap)
    ctx.desk.wait(lambda: ctx.desk.count() == 2, "the wide job")
    let_out(ctx, [guest for guest in ctx.desk.inside if guest.name == "wide"])
    ctx.desk.wait(lambda: ctx.desk.count("after") == 1, "the next step")
    ctx.desk.let_all_out(run)
    run.finish()
    expect_that("wider" not in ctx.desk.names, "the job that is too wide ran")


@needs("bwrap", "taskset")
def test_serve(ctx):
    machine = Machine(ctx)
    path = f"{ctx.dir}/serve/socket"
    server = serve(ctx, path, f"-j1-{MOST}", wrap=machine.wrap)
    expect_that(f"1-{MOST} slots on" in server.stderr(), server.stderr())
    with open(f"{path}.cookie", encoding="ascii") as file:
        at = {"TOKENPOOL_ADDR": f"unix:{path}", "TOKENPOOL_COOKIE": file.read().strip()}
    jobs = [ctx.spawn([ctx.tokenpool, "exec", "job", f"e{i}"], env=at) for i in range(MOST + 3)]
    ctx.desk.wait(lambda: ctx.desk.count() == MOST, "jobs for idle CPUs")
    expect(bounds(look(ctx, at)), (1, MOST), "range")
    machine.says(BUSY)
    wait_status(ctx, at, lambda seen: seen["slots"] == 1, "one slot")
    let_out(ctx, ctx.desk.held()[:-1])
    expect(ctx.desk.count(), 1, "jobs inside")
    machine.says(IDLE)
    while not all(job.ended() for job in jobs):
        for guest in ctx.desk.held():
            ctx.desk.release(guest)
        ctx.desk.pump(0.01)
    ctx.kill(server.find("tokenpool")[0], signal.SIGTERM)
    expect(server.wait(), 0, "status of the server")


def test_wrong_ranges(ctx):
    for words, why in ((("-j8-4",), "give 4-8"), (("-j0-4",), "at least one"),
                       (("-j4-513",), "limit is 512"), (("-j4-",), "not a number")):
        expect_one_line(cli(ctx, "run", *words, "true"), 2, why)
