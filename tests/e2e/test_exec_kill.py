"""`tokenpool exec` is killed, its job is killed, the arbiter is killed: no slot is lost or used twice."""

import json
import os
import signal
import subprocess

import harness
from harness import expect, needs
from protocol_kit import variables_of
from test_status import look


def start(ctx, jobs=16, slots=4, **how):
    """`jobs` launchers at once in the background; waits until the pool is full."""
    lines = "".join(f"{ctx.tokenpool} exec -- job j{i} &\n" for i in range(jobs))
    run = ctx.run([ctx.script("all", lines + "wait\n")], slots=slots, **how)
    ctx.desk.wait(lambda: ctx.desk.count() == slots, f"{slots} jobs in")
    return run


def launcher_of(guest):
    pid = harness.stat_of(guest.pid)[1]
    expect(harness.comm_of(pid), "tokenpool", "the parent of a job")
    return pid


def replace_one(ctx, guest):
    """Lets `guest` out; another one comes in its place."""
    before = ctx.desk.entered
    ctx.desk.release(guest)
    ctx.desk.wait(lambda: ctx.desk.entered > before, "the next job in its place")


def end(ctx, run, jobs=16, slots=4):
    ctx.desk.let_all_out(run)
    report = run.finish()
    expect(ctx.desk.entered, jobs, "jobs")
    expect(ctx.desk.peak, slots, "jobs at once")
    return report


def exec_killed_test(ctx, **how):
    """The slot is in use until the job ends, then it is free."""
    run = start(ctx, **how)
    orphans = ctx.desk.held()[:2]
    for guest in orphans:
        launcher = launcher_of(guest)
        ctx.kill(launcher)
        ctx.wait_gone(launcher)
    for _ in range(4):
        replace_one(ctx, [g for g in ctx.desk.held() if g not in orphans][0])
        expect(ctx.desk.count(), 4, "jobs in, the orphans among them")
    for guest in orphans:
        replace_one(ctx, guest)
    expect(ctx.desk.count(), 4, "jobs in")
    end(ctx, run)


def test_exec_killed(ctx):
    exec_killed_test(ctx)


def test_exec_killed_infer(ctx):
    exec_killed_test(ctx, options=["--track=infer"])


@needs("user")
def test_exec_killed_as_user(ctx):
    exec_killed_test(ctx, user=harness.NOBODY)


def test_job_killed(ctx):
    run = start(ctx)
    for _ in range(6):
        before = ctx.desk.entered
        ctx.kill(ctx.desk.held()[0].pid)
        ctx.desk.wait(lambda: ctx.desk.entered > before, "the next job in its place")
    end(ctx, run)


def test_both_killed(ctx):
    run = start(ctx)
    for _ in range(6):
        before = ctx.desk.entered
        guest = ctx.desk.held()[0]
        launcher = launcher_of(guest)
        ctx.kill(launcher)
        ctx.kill(guest.pid)
        ctx.desk.wait(lambda: ctx.desk.entered > before, "the next job in its place")
    end(ctx, run)


def test_waiting_exec_killed(ctx):
    """Those that wait in line are gone without a trace."""
    run = start(ctx, jobs=8)
    at_work = {launcher_of(guest) for guest in ctx.desk.held()}

    def waiting():
        return harness.without_children(
            [pid for pid in run.find("tokenpool") if pid not in at_work
             and harness.command_of(pid).split(" ")[1] == "exec"])

    ctx.wait(lambda: len(waiting()) == 4, "the launchers in line")
    for pid in waiting()[:3]:
        ctx.kill(pid)
        ctx.wait_gone(pid)
    end(ctx, run, jobs=5)


def test_arbiter_killed(ctx):
    """The jobs go on, and the new arbiter knows of them before it grants anything."""
    run = start(ctx, jobs=24)
    for _ in range(3):
        old = run.arbiter()
        ctx.kill(old)
        ctx.wait(lambda: run.arbiter() not in (None, old), "the next arbiter")
        for _ in range(3):
            replace_one(ctx, ctx.desk.held()[0])
            expect(ctx.desk.count(), 4, "jobs in")
    end(ctx, run, jobs=24)


def status_for(ctx, guest):
    """What the arbiter of a job says of itself; None while it cannot be asked."""
    lines = harness.read_proc(guest.pid, "environ").decode().split("\0")
    environment = dict(line.split("=", 1) for line in lines if "=" in line)
    answer = subprocess.run([ctx.tokenpool, "status", "--json"], env=environment, check=False,
                            capture_output=True)
    return json.loads(answer.stdout) if answer.returncode == 0 else None


def test_arbiter_killed_while_nobody_waits(ctx):
    """What is resumed is counted as before, the job on the implicit slot, too."""
    lines = "".join(f"{ctx.tokenpool} exec -- job j{i} &\n" for i in range(4))
    late = f"{ctx.tokenpool} exec -- job late\n"
    run = ctx.run([ctx.script("all", f"{lines}job gate\n{late}wait\n")])
    ctx.desk.wait(lambda: ctx.desk.count("j") == 4 and ctx.desk.held("gate"), "four jobs in")
    old = run.arbiter()
    ctx.kill(old)
    ctx.wait(lambda: run.arbiter() not in (None, old), "the next arbiter")
    job = ctx.desk.held("j")[0]

    def tells(**numbers):
        status = status_for(ctx, job)
        return status is not None and all(status[name] == n for name, n in numbers.items())

    ctx.wait(lambda: tells(leases_total=4), "four leases resumed")
    ctx.desk.release(ctx.desk.held("gate")[0])
    ctx.wait(lambda: ctx.desk.count("late") or tells(waiting_total=1), "the fifth")
    expect(ctx.desk.count("late"), 0, "jobs beside the four")
    ctx.desk.release(job)
    ctx.desk.wait(lambda: ctx.desk.count("late"), "the fifth in the place of one")
    ctx.desk.let_all_out(run)
    run.finish()


def test_arbiter_killed_and_the_inner_exec_comes_first(ctx):
    """It asks a new arbiter that has not heard of the lease above it yet, which pays for it."""
    inner = f"{ctx.tokenpool} exec -- job inner"
    run = ctx.run([ctx.tokenpool, "exec", "--", "sh", "-c", f"job gate; {inner}"], slots=1)
    ctx.desk.wait(lambda: ctx.desk.count("gate") == 1, "the outer job")
    gate = ctx.desk.held("gate")[0]
    outer = harness.stat_of(harness.stat_of(gate.pid)[1])[1]
    expect(harness.comm_of(outer), "tokenpool", "the parent of the shell")
    variables = variables_of(gate.pid)
    os.kill(outer, signal.SIGSTOP)
    old = run.arbiter()
    ctx.kill(old)
    ctx.wait(lambda: run.arbiter() not in (None, old), "the next arbiter")
    ctx.desk.release(gate)
    ctx.wait(lambda: ctx.desk.count("inner") or look(ctx, variables)["waiting_total"] == 1,
             "the inner exec")
    os.kill(outer, signal.SIGCONT)
    ctx.desk.wait(lambda: ctx.desk.count("inner") == 1, "the inner job")
    ctx.desk.let_all_out(run)
    run.finish()


def test_arbiter_and_exec_killed(ctx):
    """Nobody can declare the lease of that job any more, and still it ends well."""
    run = start(ctx)
    old = run.arbiter()
    guest = ctx.desk.held()[0]
    launcher = launcher_of(guest)
    ctx.kill(launcher)
    ctx.wait_gone(launcher)
    ctx.kill(old)
    ctx.wait(lambda: run.arbiter() not in (None, old), "the next arbiter")
    ctx.desk.let_all_out(run)
    run.finish()
    expect(ctx.desk.entered, 16, "jobs")


def test_signals_reach_the_job(ctx):
    program = ctx.program("trap", """
import signal
def on(number, frame):
    say("signal", str(number))
    if number == signal.SIGTERM: os._exit(0)
for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM):
    signal.signal(number, on)
say("ready")
while True: signal.pause()
""")
    run = ctx.run([ctx.tokenpool, "exec", "--", program])
    ctx.desk.wait(lambda: ctx.desk.has_said("ready"), "the job")
    launcher = [pid for pid in run.find("tokenpool")
                if harness.command_of(pid).split(" ")[1] == "exec"][0]
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM):
        ctx.kill(launcher, number)
        text = str(int(number))
        ctx.desk.wait(lambda: ctx.desk.has_said("signal", text), f"signal {text}")
    run.finish()
    expect(ctx.desk.texts("signal"), ["2", "1", "10", "15"], "signals, each once")
