"""Nobody starves: whoever comes late, and however it asks, gets its share of the pool."""

import harness
from harness import expect_that, long, needs, timeout
from protocol_kit import Peer, reach

# A's jobs that may end while B waits for its second slot. Every one of them is a chance for B.
PATIENCE = 150

# Places that come free while two equals are watched.
TURNS = 60


def end_one(ctx, prefix):
    guest = ctx.desk.held(prefix)[0]
    ctx.desk.release(guest)
    ctx.desk.wait(lambda: guest not in ctx.desk.inside, "the end of a job")


def one_after_the_other(ctx, first, second, tools, user=None):
    """A, which never runs out of jobs, has the whole pool when B comes."""
    top = ctx.script("top", f"{first} &\njob gate\n{second}\nwait\n")
    run = ctx.run([top], tools=tools, user=user)
    ctx.desk.wait(lambda: ctx.desk.count("a") == 4 and ctx.desk.count("gate"), "A with all slots")
    ctx.desk.release(ctx.desk.held("gate")[0])
    ctx.desk.wait(lambda: ctx.desk.count("gate") == 0, "the end of the gate")
    ctx.desk.peak = len(ctx.desk.inside)
    ctx.desk.wait(lambda: ctx.desk.count("b") >= 1, "B's first job")
    return run


def finish(ctx, run):
    """What has been seen was seen: make and ninja end at the first job that fails."""
    ctx.desk.let_all_out(run, b"f")
    run.finish()
    # The script runs both side by side, each on a slot of its own: one more than the pool has.
    expect_that(ctx.desk.peak <= 5, f"{ctx.desk.peak} at once")


def share(ctx, first, second, tools, count=2, user=None):
    """B must get `count` jobs in at once (one on its own slot, the others on tokens), although A
    takes whatever it can."""
    run = one_after_the_other(ctx, first, second, tools, user)
    variables = reach(ctx, run)
    peer = Peer(ctx, variables["TOKENPOOL_ADDR"])
    peer.hello(variables["TOKENPOOL_COOKIE"])
    for number in range(PATIENCE):
        # Who has a token needs a moment to start its job; two more are on the clients' own slots.
        ctx.desk.wait(lambda: ctx.desk.count() == 2 + peer.status()["tokens"], "a job for each token")
        if ctx.desk.count("b") >= count:
            break
        ctx.desk.wait(lambda: ctx.desk.held("a"), "a job of A")
        end_one(ctx, "a")
        if number % 3 == 2 and ctx.desk.held("b"):
            # A client that asks only when one of its own jobs ends has to get that chance.
            end_one(ctx, "b")
            ctx.desk.wait(lambda: ctx.desk.held("b"), "the next job of B")
    expect_that(ctx.desk.count("b") >= count,
                f"B had no {count} jobs at once while A ended {PATIENCE}")
    print(f"B waited for {number} jobs of A")
    peer.close()
    finish(ctx, run)


def equal_shares(ctx, first, second, tools):
    """Two that ask in the same way have the same share: always the oldest job ends, so each gets as
    many of the places that come free as it is wide. Of five jobs, two are on the clients' own slots
    and three on tokens: who is left with its own slot has a fifth of them."""
    run = one_after_the_other(ctx, first, second, tools)
    ctx.desk.wait(lambda: ctx.desk.count() == 5, "all slots in use")
    start = ctx.desk.entered
    for _ in range(TURNS):
        before = ctx.desk.entered
        ctx.desk.release(ctx.desk.held()[0])
        ctx.desk.wait(lambda n=before: ctx.desk.entered > n, "a job in the place of the oldest")
    of_b = sum(name.startswith("b") for name in ctx.desk.names[start:])
    print(f"B: {of_b} of {ctx.desk.entered - start}")
    expect_that(TURNS / 3 <= of_b <= TURNS * 2 / 3, f"B had {of_b} of {TURNS} places")
    finish(ctx, run)


BLOCKING = """
import threading
pool = open_fifo()
def work():
    while True:
        token = os.read(pool, 1)
        if not todo:
            os.write(pool, token)
            return
        name = todo.pop()
        stay(name)
        os.write(pool, token)
todo = ['{prefix}%d' % i for i in range({jobs})]
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
{own}
for thread in threads: thread.join()
"""

POLLING = """
import select, threading
pool = open_fifo(os.O_NONBLOCK)
def take():
    while True:
        select.select([pool], [], [])
        try: return os.read(pool, 1)
        except BlockingIOError: pass
def work():
    while True:
        token = take()
        if not todo:
            os.write(pool, token)
            return
        name = todo.pop()
        stay(name)
        os.write(pool, token)
todo = ['{prefix}%d' % i for i in range({jobs})]
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
{own}
for thread in threads: thread.join()
"""

OWN = "while todo: stay(todo.pop())"


def client(ctx, kind, prefix, jobs):
    if kind.startswith("make"):
        ctx.makefile(prefix, jobs, prefix)
        return f"PATH=\"$TOKENPOOL_SHIMS:{ctx.tool(kind)}:$PATH\" make -C {prefix}"
    if kind.startswith("ninja"):
        ctx.ninjafile(prefix, jobs, prefix)
        return f"ninja -C {prefix}"
    text = BLOCKING if kind == "blocking" else POLLING
    return ctx.program(f"client{prefix}", text.format(prefix=prefix, jobs=jobs, own=OWN))


def pair(a, b, judge, is_long=False):
    def body(ctx):
        judge(ctx, client(ctx, a, "a", 400), client(ctx, b, "b", 60 if judge is share else 400),
              ["ninja-1.13.2"])

    short = "{}_against_{}".format(*(k.replace(".", "").replace("-", "") for k in (b, a)))
    body.__name__ = f"test_{short}" if judge is share else f"test_equal_shares_of_{short}"
    needed = needs("make-4.3", "make-4.4.1", "ninja-1.13.2")
    globals()[body.__name__] = long(timeout(120)(needed(body)), is_long)


KINDS = ("make-4.3", "make-4.4.1", "ninja-1.13.2", "blocking", "polling")
for _i, _a in enumerate(KINDS):
    for _j, _b in enumerate(KINDS):
        pair(_a, _b, share, is_long=abs(_i - _j) > 1)  # others are much like these
# Nobody waits for a place that two ninjas leave free: they ask when a job of their own ends.
for _a, _b in (("make-4.3", "make-4.3"), ("make-4.3", "make-4.4.1"), ("make-4.4.1", "make-4.3"),
               ("make-4.4.1", "make-4.4.1"), ("blocking", "blocking"), ("polling", "polling")):
    pair(_a, _b, equal_shares, is_long=_a == "make-4.4.1")


@timeout(120)
@needs("make-4.3", "user")
def test_make_against_make_as_user(ctx):
    share(ctx, client(ctx, "make-4.3", "a", 400), client(ctx, "make-4.3", "b", 60), [],
          user=harness.NOBODY)


@timeout(120)
@needs("make-4.3")
def test_five_newcomers(ctx):
    """Five makes in one pool of six slots: each gets a second job while one has endless work."""
    ctx.makefile("a", 600, "a")
    for prefix in "bcdef":
        ctx.makefile(prefix, 6, prefix)
    rest = "".join(f"make -C {prefix} &\n" for prefix in "bcdef")
    run = ctx.run([ctx.script("top", f"make -C a &\njob gate\n{rest}wait\n")], slots=6,
                  tools=["make-4.3"])
    ctx.desk.wait(lambda: ctx.desk.count("a") == 6 and ctx.desk.count("gate"), "A with all slots")
    ctx.desk.release(ctx.desk.held("gate")[0])
    ctx.desk.wait(lambda: all(ctx.desk.count(p) for p in "bcdef"), "everybody's first job")
    lucky = set()
    for _ in range(PATIENCE):
        lucky |= {p for p in "bcdef" if ctx.desk.count(p) >= 2}
        if len(lucky) == 5:
            break
        # A job of A ends, and one of whoever has had its turn.
        guests = ctx.desk.held("a")[:1]
        guests += [ctx.desk.held(p)[0] for p in sorted(lucky) if len(ctx.desk.held(p)) >= 2]
        entered = ctx.desk.entered
        for guest in guests:
            ctx.desk.release(guest)
        ctx.desk.wait(lambda: ctx.desk.entered > entered, "another job")
    expect_that(len(lucky) == 5, f"only {sorted(lucky)} had two jobs in")
    ctx.desk.let_all_out(run)
    run.finish()
