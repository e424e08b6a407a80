"""A build in which somebody is killed all the time."""

import os
import random
import time

import harness
from harness import expect, expect_that, needs, timeout

SECONDS = 20  # how long the killing goes on
PAUSE = 0.05  # between two deaths
EACH = 110  # jobs of each of the four builds


def build(ctx):
    """make -> {make, ninja, make 4.4.1, shell -> make}, begun again until everything is made."""
    for prefix, folder in (("k", "k"), ("l", "l"), ("m", "m")):
        names = [f"{prefix}{i}" for i in range(EACH)]
        ctx.write(f"{folder}/Makefile",
                  f"all: {' '.join(names)}\n{' '.join(names)}:\n\t@job $@ $@\n")
    ctx.ninjafile("n", EACH, "n")
    new = ctx.tool("make-4.4.1")
    ctx.write("t/Makefile",
              ".PHONY: all k l m n\nall: k l m n\n"
              "k:\n\t+$(MAKE) -k -C ../k\n"
              f"l:\n\t+PATH=\"$$TOKENPOOL_SHIMS:{new}:$$PATH\" make -k -C ../l\n"
              "m:\n\t+sh -c 'make -k -C ../m; exit $$?'\n"
              "n:\n\t+ninja -k0 -C ../n\n")
    ctx.makefile("f", 24, "f")
    top = ctx.script(
        "top", "until make -k -C t; do :; done >/dev/null 2>&1\njob quiet\nmake -C f\n")
    return ctx.run([top], tools=["make-4.3", "ninja-1.13.2"]), top


def torment(ctx, run, chance, top_pid):
    """Kills for SECONDS, and lets jobs out at such a pace that they last. Answers the deaths. The
    clock sets the pace of the deaths; nothing is judged by it."""
    end = time.monotonic() + SECONDS
    next_death = next_exit = time.monotonic()
    total = 4 * EACH
    front = run.front()
    arbiter = run.arbiter()
    deaths = 0
    while time.monotonic() < end:
        ctx.desk.pump(0.005)
        ctx.reap()
        now = time.monotonic()
        if now >= next_death:
            next_death += PAUSE
            # The orphans of the dead are the front's children.
            everybody = [p for p in harness.descendants(front) if p not in (top_pid, arbiter)]
            if everybody:
                deaths += ctx.kill(chance.choice(everybody))
        if now >= next_exit:
            next_exit += SECONDS / total * 1.1
            if waiting := ctx.desk.held():
                ctx.desk.release(chance.choice(waiting))
        expect_that(not run.ended(), "the run ended under way")
    return deaths


@timeout(180)
@needs("make-4.3", "make-4.4.1", "ninja-1.13.2")
def test_one(ctx):
    chaos(ctx, ctx.seed)


@timeout(180)
@needs("make-4.3", "make-4.4.1", "ninja-1.13.2")
def test_two(ctx):
    chaos(ctx, ctx.seed + 1)


def chaos(ctx, seed):
    print(f"seed {seed} (--seed {ctx.seed})")
    chance = random.Random(seed)
    run, top = build(ctx)
    ctx.desk.wait(lambda: ctx.desk.inside, "the first jobs")
    top_pid = next(p for p in harness.descendants(run.pid)
                   if harness.command_of(p) == f"/bin/bash {top}")
    deaths = torment(ctx, run, chance, top_pid)
    # The rest of the build, undisturbed; then the orphans, until the script is alone with its job.
    while not ctx.desk.count("quiet"):
        for guest in ctx.desk.held():
            if guest.name != "quiet":
                ctx.desk.release(guest)
        ctx.desk.wait(lambda: ctx.desk.held(), "the end of the build")
    quiet = ctx.desk.held("quiet")[0]
    front = run.front()

    def alone():
        for guest in ctx.desk.held():
            if guest is not quiet:
                ctx.desk.release(guest)
        rest = [p for p in harness.descendants(front) if p not in (top_pid, quiet.pid)]
        return rest == [run.arbiter()]

    ctx.desk.wait(alone, "the end of all orphans")
    for prefix in "klm":
        for number in range(EACH):
            path = f"{ctx.dir}/{prefix}/{prefix}{number}"
            expect_that(os.path.exists(path), f"{path} was not made")
    # The pool is full again: the last build is four wide, and no wider.
    ctx.desk.release(quiet)
    ctx.desk.drive(4, total=24, prefix="f")
    report = run.finish()
    print(f"{deaths} deaths, {ctx.desk.entered} jobs, {report['tokens']['recovered']} tokens "
          f"recovered, {report['recoveries_total']} recoveries")
    expect_that(ctx.desk.entered >= 300, f"only {ctx.desk.entered} jobs")
    expect_that(report["tokens"]["recovered"] > 0, "no token was recovered")
    expect(report["arbiter_restarts"], 0, "arbiters that died")
