"""The arbiter is killed: the build goes on, as wide as before and no wider, and ends well."""

import os
import random
import signal

from harness import expect, expect_that, kill, long, need_told_ends, needs, timeout
from lifecycle_kit import (arbiter_child, finished, folders, groups, in_epoll_wait, in_read,
                           wait_arbiter)


def kill_arbiter(ctx, run):
    """Kills it and waits for the next one."""
    arbiter = wait_arbiter(ctx, run)
    kill(arbiter)
    wait_arbiter(ctx, run, other_than=arbiter)


def expect_restarts(run, count):
    """In the report and on stderr, where each death is one line."""
    report = run.finish()
    expect(report["arbiter_restarts"], count, "arbiters that died")
    lines = [line for line in run.notes() if "arbiter died" in line]
    expect(len(lines), count, f"lines about it in {run.notes()}")
    return report


def in_the_middle(ctx, command, tools, deaths, total=24, user=None):
    run = ctx.run(command, tools=tools, user=user)
    for _ in range(deaths):
        ctx.desk.wait(lambda: ctx.desk.count() == 4, "four jobs in")
        kill_arbiter(ctx, run)
        before = ctx.desk.entered
        ctx.desk.release(ctx.desk.held()[0])
        ctx.desk.wait(lambda n=before: ctx.desk.entered > n, "the next job")
        expect_that(ctx.desk.count() <= 4, f"{ctx.desk.count()} jobs in at once")
    ctx.desk.drive(4, total=total - ctx.desk.entered + ctx.desk.count())
    report = expect_restarts(run, deaths)
    expect(ctx.desk.peak, 4, "most jobs at once")
    expect(ctx.desk.entered, total, "jobs")
    return report


@needs("make-4.3")
def test_in_the_middle_of_make_43(ctx):
    ctx.makefile("a", 24, "a")
    in_the_middle(ctx, ["make", "-C", "a"], ["make-4.3"], 1)


@needs("make-4.4.1")
def test_in_the_middle_of_make_441(ctx):
    ctx.makefile("a", 24, "a")
    in_the_middle(ctx, ["make", "-C", "a"], ["make-4.4.1"], 1)


@needs("ninja-1.13.2")
def test_in_the_middle_of_ninja(ctx):
    ctx.ninjafile("a", 24, "a")
    in_the_middle(ctx, ["ninja", "-C", "a"], ["ninja-1.13.2"], 1)


@needs("make-4.3")
def test_five_times_in_make_43(ctx):
    ctx.makefile("a", 24, "a")
    in_the_middle(ctx, ["make", "-C", "a"], ["make-4.3"], 5)


@needs("ninja-1.13.2")
def test_five_times_in_ninja(ctx):
    ctx.ninjafile("a", 24, "a")
    in_the_middle(ctx, ["ninja", "-C", "a"], ["ninja-1.13.2"], 5)


@needs("make-4.3")
def test_sub_makes(ctx):
    """The tokens that sub-makes hold are known to the next arbiter."""
    ctx.makefile("x", 12, "x")
    ctx.makefile("y", 12, "y")
    ctx.write("Makefile", "all: x y\nx y:\n\t+@$(MAKE) -C $@\n.PHONY: all x y\n")
    in_the_middle(ctx, ["make"], ["make-4.3"], 2)


def cargo_tree(ctx, members):
    """A workspace of crates that do not depend on each other, each with a build script that is a
    job of the desk."""
    names = [f"m{i}" for i in range(members)]
    listed = ", ".join(f'"{name}"' for name in names)
    ctx.write("ws/Cargo.toml", f'[workspace]\nresolver = "2"\nmembers = [{listed}]\n')
    for name in names:
        ctx.write(f"ws/{name}/Cargo.toml", (
            f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2021"\nbuild = "build.rs"\n'))
        ctx.write(f"ws/{name}/src/lib.rs", "pub fn one() -> i32 { 1 }\n")
        ctx.write(f"ws/{name}/build.rs", (
            "fn main() {\n"
            f'    let s = std::process::Command::new("job").arg("{name}").status().unwrap();\n'
            "    assert!(s.success());\n}\n"))


@needs("cargo")
@timeout(240)
def test_in_the_middle_of_cargo(ctx):
    cargo_tree(ctx, 6)
    run = ctx.run(["cargo", "build", "--offline"], tools=["cargo"], cwd=f"{ctx.dir}/ws")
    ctx.desk.wait(lambda: ctx.desk.count() == 4, "four build scripts in")
    for _ in range(3):
        kill_arbiter(ctx, run)
    ctx.desk.let_all_out(run)
    expect_restarts(run, 3)
    expect(ctx.desk.peak, 4, "most build scripts at once")
    expect(ctx.desk.entered, 6, "build scripts")


READER = """
os.read(fds()[0], 1)
stay(sys.argv[1])
os.write(fds()[1], b"+")
"""


def test_blocked_readers_get_their_tokens(ctx):
    """Three hold the tokens, three wait: those wait on through deaths and get them, one for one."""
    blocked_readers(ctx)


def blocked_readers(ctx, user=None):
    run = readers_through_deaths(ctx, 3, user)
    report = expect_restarts(run, 3)
    expect((report["tokens"]["taken"], report["tokens"]["returned"]), (6, 6), "taken, returned")
    expect(report["tokens"]["recovered"], 0, "recovered")


def test_blocked_readers_of_a_plain_jobserver(ctx):
    """Those that wait when arbiters have died too often read on from the FIFO, and nobody keeps
    books of it any more."""
    run = readers_through_deaths(ctx, 9)
    report = run.finish()
    expect(report["arbiter_restarts"], 9, "arbiters that died")
    tokens = report["tokens"]
    expect((tokens["unseen_taken"], tokens["recovered"]), (0, 0), "guessed as taken, recovered")


def readers_through_deaths(ctx, deaths, user=None):
    reader = ctx.program("reader.py", READER)
    script = "".join(f"{reader} r{i} & " for i in range(6))
    run = ctx.run(["sh", "-c", script + "wait"], user=user)
    ctx.desk.wait(lambda: ctx.desk.count() == 3, "three with a token")

    def readers():
        return [pid for pid in run.find("python3") if in_read(pid)]

    with_token = {guest.pid for guest in ctx.desk.inside}
    ctx.wait(lambda: len(set(readers()) - with_token) == 3, "three that wait")
    for _ in range(deaths):
        kill_arbiter(ctx, run)
        expect(ctx.desk.count(), 3, "with a token")
    ctx.wait(lambda: in_epoll_wait(wait_arbiter(ctx, run)), "an arbiter that has taken over")
    for entered in range(4, 7):
        ctx.desk.release(ctx.desk.held()[0])
        ctx.desk.wait(lambda n=entered: ctx.desk.entered == n, "the next one")
        expect_that(ctx.desk.count() <= 3, f"{ctx.desk.count()} with a token")
    ctx.desk.let_all_out(run)
    return run


def three_holders(ctx, user=None):
    """Three processes with a token each; a fourth asks for one when they have ended."""
    reader = ctx.program("reader.py", READER)
    script = f"{reader} a & {reader} b & {reader} c & wait; {reader} d"
    return ctx.run(["sh", "-c", script], user=user)


def test_holder_that_dies_after_the_arbiter(ctx):
    """The next arbiter knows whose tokens come back."""
    dies_after_the_arbiter(ctx)


def dies_after_the_arbiter(ctx, user=None):
    need_told_ends()
    run = three_holders(ctx, user)
    ctx.desk.wait(lambda: ctx.desk.count() == 3, "three with a token")
    # A reader goes on before the arbiter has written down whom it has answered.
    ctx.wait(lambda: in_epoll_wait(wait_arbiter(ctx, run)), "an arbiter that has booked them all")
    kill_arbiter(ctx, run)
    for guest in ctx.desk.held():
        kill(guest.pid)
    ctx.desk.wait(lambda: ctx.desk.count("d") == 1, "the fourth")
    ctx.desk.let_all_out(run)
    report = expect_restarts(run, 1)
    expect(report["tokens"]["recovered"], 3, "recovered")
    expect([row["held"] for row in report["recoveries"]], [1, 1, 1], "held")


def test_holder_that_dies_together_with_the_arbiter(ctx):
    dies_together_with_the_arbiter(ctx)


def dies_together_with_the_arbiter(ctx, user=None):
    run = three_holders(ctx, user)
    ctx.desk.wait(lambda: ctx.desk.count() == 3, "three with a token")
    arbiter = wait_arbiter(ctx, run)
    for guest in ctx.desk.held():
        kill(guest.pid)
    kill(arbiter)
    ctx.desk.wait(lambda: ctx.desk.count("d") == 1, "the fourth")
    ctx.desk.let_all_out(run)
    report = run.finish()
    expect_that(report["arbiter_restarts"] <= 1, "restarts")


@needs("make-4.3")
@timeout(180)
def test_more_often_than_it_is_started_anew(ctx):
    """After too many deaths the FIFO is a plain jobserver; the build still ends well."""
    ctx.makefile("a", 24, "a")
    run = ctx.run(["make", "-C", "a"], tools=["make-4.3"])
    ctx.desk.wait(lambda: ctx.desk.count() == 4, "four jobs in")
    for _ in range(12):
        kill_arbiter(ctx, run)
    ctx.desk.let_all_out(run)
    report = run.finish()
    expect(report["arbiter_restarts"], 12, "arbiters that died")
    expect(ctx.desk.peak, 4, "most jobs at once")
    expect(ctx.desk.entered, 24, "jobs")


def short_jobs(ctx):
    """120 jobs, some in sub-makes: as many token calls as the machine makes."""
    ctx.write("Makefile", (
        "N := $(shell seq 40)\nall: $(N:%=t%) x y\nt%:\n\t@:; true\n"
        "x y:\n\t+@$(MAKE) -f sub.mk P=$@\n.PHONY: all x y\n"))
    ctx.write("sub.mk", "N := $(shell seq 40)\nall: $(N:%=$(P)%)\n$(P)%:\n\t@:; true\n.PHONY: all\n")


def kill_at_random(run, rng):
    """Kills up to seven arbiters of the run while it goes; the moments are seeded in steps of
    looking, not of time. Answers how many."""
    deaths = 0
    while not run.ended() and deaths < 7:
        for _ in range(rng.randrange(1, 60)):
            os.listdir("/proc/self/fd")
        arbiter = arbiter_child(run.pid)
        if arbiter is not None and kill(arbiter):
            deaths += 1
    return deaths


def at_random_moments(ctx, tools, number, user=None):
    short_jobs(ctx)
    total = 0
    rng = random.Random(f"{ctx.seed} {number}")
    for _ in range(3):
        run = ctx.run(["make", "-k"], tools=tools, user=user)
        deaths = kill_at_random(run, rng)
        total += deaths
        report = run.finish()
        expect_that(report["arbiter_restarts"] <= deaths, "restarts in the report")
        expect(report["tokens"]["refused"], 0, "refused")
    expect_that(total > 0, "no arbiter was met at all")


@long
@needs("make-4.3")
@timeout(180)
def test_at_random_moments_under_load_make_43(ctx):
    at_random_moments(ctx, ["make-4.3"], 1)


@needs("make-4.4.1")
@timeout(180)
def test_at_random_moments_under_load_make_441(ctx):
    at_random_moments(ctx, ["make-4.4.1"], 2)


@needs("ninja-1.13.2")
@timeout(180)
def test_at_random_moments_under_load_ninja(ctx):
    text = "rule r\n  command = true\n" + "".join(f"build o{i}: r\n" for i in range(150))
    ctx.write("build.ninja", text)
    rng = random.Random(f"{ctx.seed} ninja")
    for _ in range(3):
        run = ctx.run(["ninja"], tools=["ninja-1.13.2"])
        kill_at_random(run, rng)
        run.finish()


@timeout(120)
def test_tokens_are_conserved_call_by_call(ctx):
    """Eight clients take and return as fast as they can while arbiters die; at the end the pool is
    full and none of them ever saw more than there are."""
    client = ctx.program("client.py", (
        "for _ in range(int(sys.argv[1])):\n"
        "    os.read(fds()[0], 1)\n"
        "    os.write(fds()[1], b'+')\n"))
    rng = random.Random(f"{ctx.seed} calls")
    for _ in range(2):
        script = f"{client} 400 & " * 8 + "wait"
        run = ctx.run(["sh", "-c", script])
        kill_at_random(run, rng)
        tokens = run.finish()["tokens"]
        expect_that(tokens["taken"] <= 3200 and tokens["refused"] == 0, f"{tokens}")


def test_killed_when_only_the_end_is_left(ctx):
    """Between the command's end and the report: a new one settles the books."""
    for turn in range(20):
        run = ctx.run(["sh", "-c", "exit 3"])
        arbiter = None
        for _ in range(turn + 1):
            arbiter = run.arbiter() or arbiter
        if arbiter:
            kill(arbiter)
        run.finish(3)


def test_killed_when_it_has_settled(ctx):
    """It has said all and removed the folder; the control group is then the front's to remove."""
    for _ in range(20):
        entered = ctx.desk.entered
        run = ctx.run(["job", "x"])
        ctx.desk.wait(lambda n=entered: ctx.desk.entered > n, "the job")
        (name,) = folders(ctx)
        arbiter = wait_arbiter(ctx, run)
        ctx.desk.release(ctx.desk.held()[0])
        while os.path.exists(f"{ctx.tmp}/{name}") and not run.ended():
            pass
        kill(arbiter)
        run.finish()
        expect(groups(name), [], "control groups")


def test_stopped_arbiter_goes_on_where_it_stood(ctx):
    reader = ctx.program("reader.py", READER)
    run = ctx.run([reader, "a"])
    arbiter = wait_arbiter(ctx, run)
    kill(arbiter, signal.SIGSTOP)
    kill(arbiter, signal.SIGCONT)
    ctx.desk.wait(lambda: ctx.desk.count() == 1, "the reader with its token")
    ctx.desk.let_all_out(run)
    expect(run.finish()["arbiter_restarts"], 0, "arbiters that died")


def test_arbiter_ignores_the_signals_of_the_build(ctx):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE,
                   signal.SIGUSR1, signal.SIGUSR2, signal.SIGTSTP):
        entered = ctx.desk.entered
        run = ctx.run(["job", "x"])
        ctx.desk.wait(lambda n=entered: ctx.desk.entered > n, "the job")
        kill(wait_arbiter(ctx, run), number)
        ctx.desk.let_all_out(run)
        expect(run.finish()["arbiter_restarts"], 0, f"arbiters that died of {number}")


def test_without_deaths_there_is_nothing_to_say(ctx):
    expect(finished(ctx, ["true"]).report()["arbiter_restarts"], 0, "arbiters that died")
