"""A build in which somebody is killed all the time."""

import os
import random
import time

import harness
from harness import expect_that, long, needs, timeout

PAUSE = 0.05  # between two deaths
HOLDERS = 1  # so many at least die while they hold, for each second of the killing
JOBS = 5  # of each of the four sub-builds, for each second of the killing
PATIENCE = 10  # pauses, at least
REST = 16  # jobs that come last

# A client in one process: a token for each of its jobs, one after the other.
CLIENT = """
pool = open_fifo()
for number in range(20):
    token = os.read(pool, 1)
    stay(f'p{number}')
    os.write(pool, token)
open('../p-done', 'w').close()
"""


def build(ctx, jobs):
    """make -> {make, make 4.4.1, shell -> make, ninja, client} and then the rest, begun again until
    everything is made. Between two rounds it waits at the desk as `again`."""
    for prefix in "klm":
        names = [f"{prefix}{i}" for i in range(jobs)]
        ctx.write(f"{prefix}/Makefile",
                  f"all: {' '.join(names)}\n{' '.join(names)}:\n\t@job $@ $@\n")
    ctx.ninjafile("n", jobs, "n")
    ctx.makefile("r", REST, "r")
    client = ctx.program("client", CLIENT)
    new = ctx.tool("make-4.4.1")
    ctx.write("t/Makefile",
              ".PHONY: all k l m n p r\nall: r\nr: k l m n p\n"
              "k r:\n\t+$(MAKE) -k -C ../$@\n"
              f"l:\n\t+PATH=\"$$TOKENPOOL_SHIMS:{new}:$$PATH\" make -k -C ../l\n"
              "m:\n\t+sh -c 'make -k -C ../m; exit $$?'\n"
              "n:\n\t+ninja -k0 -C ../n\n"
              f"p:\n\t+test -e ../p-done || {client}\n")
    return ctx.script("top", "until make -k -C t; do job again; done >/dev/null 2>&1\n")


def client_of(guest):
    """The client that has this job: the nearest make or ninja above it, or the job itself."""
    if guest.name.startswith("p"):
        return guest.pid
    for pid in harness.ancestors(guest.pid):
        if harness.comm_of(pid) in ("make", "ninja"):
            return pid
    return None


def holders(ctx):
    """Who certainly holds a token now: a make or ninja with two jobs inside, of which only one runs
    on its own slot, and a client in one process. Jobs that were let out may have ended."""
    jobs = {}
    for guest in ctx.desk.held():
        jobs.setdefault(client_of(guest), []).append(guest)
    return sorted(pid for pid, guests in jobs.items()
                  if pid and (len(guests) >= 2 or guests[0].pid == pid))


class Torment:
    """Kills for so many seconds, and until HOLDERS for each of them have died, a holder and anybody
    at all in turns, and lets jobs out at such a pace that they last. The clock sets the pace; nothing
    is judged by it."""

    def __init__(self, ctx, run, chance, spared, seconds):
        self.ctx, self.run, self.chance, self.spared = ctx, run, chance, spared
        self.seconds = seconds
        self.front = run.front()
        self.deaths = 0
        self.dead_holders = set()
        self.waited = 0  # pauses since the last death
        self.patience = PATIENCE

    def is_up(self):
        """Whether the build has got going again since the last death."""
        return len(self.ctx.desk.held()) >= 2

    def goes_on(self):
        """Where a process needs long to start, nobody would ever hold anything otherwise."""
        return self.is_up() or self.waited >= self.patience

    def strike(self):
        self.waited += 1
        if not self.goes_on():
            return
        victims = holders(self.ctx) if self.deaths % 2 else []
        if victims:
            victim = self.chance.choice(victims)
            self.dead_holders.add(victim)
        else:
            # The orphans of the dead are the front's children.
            everybody = [p for p in harness.descendants(self.front) if p not in self.spared]
            if not everybody:
                return
            victim = self.chance.choice(everybody)
        # What was struck before it was up gets more time.
        self.patience = max(PATIENCE, self.patience // 2) if self.is_up() else self.patience * 2
        self.waited = 0
        self.deaths += self.ctx.kill(victim)

    def let_out(self, word):
        waiting = self.ctx.desk.held()
        if waiting and self.goes_on():
            self.ctx.desk.release(self.chance.choice(waiting), word)

    def go(self):
        end = time.monotonic() + self.seconds
        next_death = next_exit = time.monotonic()
        while (now := time.monotonic()) < end or len(self.dead_holders) < HOLDERS * self.seconds:
            self.ctx.desk.pump(0.005)
            self.ctx.reap()
            if now >= next_death:
                next_death += PAUSE
                self.strike()
            if now >= next_exit:
                next_exit += 1 / (4 * JOBS) * 1.1
                # So that the build cannot come to its end before this does.
                self.let_out(b"o" if now < end else b"f")
            expect_that(not self.run.ended(), "the run ended under way")
            expect_that(now < self.ctx.deadline, f"only {len(self.dead_holders)} holders to kill")


def last_round(ctx, front, spared):
    """What is left of the round under way fails, until the script and its job are alone in the
    pool. Then everything that was not made yet is made, and nobody is killed any more."""

    def alone():
        again = ctx.desk.held("again")
        for guest in ctx.desk.held():
            if guest not in again:
                ctx.desk.release(guest, b"f")
        rest = [p for p in harness.descendants(front) if p not in spared]
        return len(again) == 1 and rest == [again[0].pid]

    ctx.desk.wait(alone, "the end of the round, and of all orphans")
    ctx.desk.peak = 0
    ctx.desk.release(ctx.desk.held("again")[0])

    def only_the_rest():
        for guest in ctx.desk.held():
            if not guest.name.startswith("r"):
                ctx.desk.release(guest)
        return ctx.desk.count("r") == ctx.desk.count() == 4

    ctx.desk.wait(only_the_rest, "four jobs of the rest")
    ctx.desk.drive(4, total=REST, prefix="r")


def made(jobs):
    names = [f"{p}/{p}{i}" for p in "klm" for i in range(jobs)]
    return [*names, *(f"n/n{i}.o" for i in range(jobs)), "p-done"]


def chaos(ctx, seed, seconds, user=None):
    jobs = JOBS * seconds
    print(f"seed {seed} (--seed {ctx.seed})")
    top = build(ctx, jobs)
    run = ctx.run([top], tools=["make-4.3", "ninja-1.13.2"], user=user)
    ctx.desk.wait(lambda: ctx.desk.inside, "the first jobs")
    script = next(p for p in harness.descendants(run.pid)
                  if harness.command_of(p) == f"/bin/bash {top}")
    spared = (script, run.arbiter())
    torment = Torment(ctx, run, random.Random(seed), spared, seconds)
    torment.go()
    last_round(ctx, run.front(), spared)
    report = run.finish()
    print(f"{torment.deaths} deaths, {len(torment.dead_holders)} of holders, "
          f"{ctx.desk.entered} jobs, {report['tokens']['recovered']} tokens recovered")
    expect_that(ctx.desk.peak <= 4, f"{ctx.desk.peak} jobs at once in the last round")
    expect_that(ctx.desk.entered >= 3 * jobs, f"only {ctx.desk.entered} jobs")
    for name in made(jobs):
        expect_that(os.path.exists(f"{ctx.dir}/{name}"), f"{name} was not made")
    expect_that(report["recoveries_total"] >= len(torment.dead_holders), "a recovery is missing")


@timeout(180)
@needs("make-4.3", "make-4.4.1", "ninja-1.13.2")
def test_one(ctx):
    chaos(ctx, ctx.seed, 8)


@long
@timeout(180)
@needs("make-4.3", "make-4.4.1", "ninja-1.13.2")
def test_longer(ctx):
    chaos(ctx, ctx.seed + 1, 25)


@timeout(180)
@needs("make-4.3", "make-4.4.1", "ninja-1.13.2", "user")
def test_as_user(ctx):
    chaos(ctx, ctx.seed + 2, 6, harness.NOBODY)
