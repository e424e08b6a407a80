"""Leases follow jobs: what a dead client held is freed when its jobs end, not before."""

from harness import expect, expect_that, needs


def orphans_test(ctx, client, name, tools, folder):
    """`client` runs three jobs (its own slot and two tokens) and is killed. Then a make has its own
    slot and the one token that was free; each of two orphans gives it one more as it ends. The
    third ran on the client's own slot, which is the make's now."""
    ctx.makefile("b", 40, "b")
    script = ctx.script("top", f"{client}\nmake -C b\n")
    run = ctx.run([script], tools=tools)
    ctx.desk.wait(lambda: ctx.desk.count("a") == 3, "three jobs in")
    pid = run.find(name)[-1]
    ctx.kill(pid)
    ctx.wait_gone(pid)
    ctx.desk.wait(lambda: ctx.desk.count("b") == 2, "two jobs of the make")
    for ended in range(3):
        # The place of a job of the make is taken, no other one is free.
        for _ in range(4):
            width = len(ctx.desk.held("b"))
            guest = ctx.desk.held("b")[0]
            ctx.desk.release(guest)
            ctx.desk.wait(lambda: guest not in ctx.desk.inside, "the end of a job of the make")
            ctx.desk.wait(lambda: len(ctx.desk.held("b")) >= width, "the next job in its place")
            expect_that(ctx.desk.count("b") <= 2 + ended,
                        f"{ctx.desk.count('b')} jobs, {ended} orphans ended")
        before = ctx.desk.count("b")
        ctx.desk.release(ctx.desk.held("a")[0])
        ctx.desk.wait(lambda: ctx.desk.count("a") == 2 - ended, "the end of an orphan")
        # Two of the three bring a token; the last word is said when all three are gone.
        if ended == 2:
            ctx.desk.wait(lambda: ctx.desk.count("b") == 4, "four jobs of the make")
        else:
            ctx.desk.wait(lambda: ctx.desk.count("b") >= max(before, 2 + ended), "the make's jobs")
    ctx.desk.drive(4, total=12, prefix="b")
    ctx.desk.let_all_out(run)
    report = run.finish()
    row = next((r for r in report["recoveries"] if r["pid"] == pid), None)
    expect_that(row is not None, f"no recovery of {pid}")
    expect(row["held"], 2, "tokens held")
    expect(row["moved"], 2, "tokens that moved to the orphans")
    expect(row["recovered"], 0, "tokens free at once")


@needs("ninja-1.13.2", "make-4.3")
def test_ninja(ctx):
    ctx.ninjafile("a", 3, "a")
    orphans_test(ctx, "ninja -C a", "ninja", ["ninja-1.13.2", "make-4.3"], "a")


@needs("make-4.3")
def test_make(ctx):
    ctx.makefile("a", 3, "a")
    orphans_test(ctx, "make -C a", "make", ["make-4.3"], "a")


@needs("ninja-1.13.2", "make-4.4.1")
def test_ninja_below_make(ctx):
    """The same with a make above: it goes on with -k, and only the ninja's tokens wait."""
    ctx.ninjafile("a", 3, "a")
    ctx.write("t/Makefile", "all:\n\t-+ninja -C ../a\n")
    orphans_test(ctx, "make -C t", "ninja", ["ninja-1.13.2", "make-4.4.1"], "a")


@needs("make-4.3")
def test_orphan_killed_too(ctx):
    """An orphan that is killed gives its token back as one that ends well does."""
    ctx.makefile("a", 3, "a")
    ctx.makefile("b", 12, "b")
    run = ctx.run([ctx.script("top", "make -C a\nmake -C b\n")], tools=["make-4.3"])
    ctx.desk.wait(lambda: ctx.desk.count("a") == 3, "three jobs in")
    ctx.kill(run.find("make")[-1])
    ctx.desk.wait(lambda: ctx.desk.count("b") == 2, "two jobs of the second make")
    for guest in ctx.desk.held("a"):
        ctx.kill(guest.pid)
    ctx.desk.drive(4, total=12, prefix="b")
    run.finish()


@needs("make-4.3")
def test_more_deaths_than_one(ctx):
    """Client after client is killed in one pool, each with three tokens."""
    ctx.makefile("a", 12, "a")
    ctx.makefile("b", 12, "b")
    run = ctx.run([ctx.script("top", "for i in 1 2 3 4 5 6; do make -C a; done\nmake -C b\n")],
                  tools=["make-4.3"])
    for number in range(6):
        ctx.desk.wait(lambda: len(ctx.desk.held("a")) == 4, f"four jobs of build {number}")
        pid = run.find("make")[-1]
        old = ctx.desk.held("a")
        ctx.kill(pid)
        ctx.wait_gone(pid)
        for guest in old:
            ctx.desk.release(guest)
        ctx.desk.wait(lambda: not any(g in ctx.desk.inside for g in old), "the orphans' end")
    ctx.desk.drive(4, total=12, prefix="b")
    report = run.finish()
    held = sum(r["held"] for r in report["recoveries"] if "make" in r["command"])
    expect(held, 18, "tokens held by the dead")
