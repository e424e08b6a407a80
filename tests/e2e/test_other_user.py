"""Root's build that goes on as another user: his processes are in the pool as all others are, or
it is said why they are not. And a FIFO that somebody takes away."""

import os

from harness import expect, expect_that, needs, read_proc
from lifecycle_kit import expect_one_line

NOBODY = 65534
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]


@needs("make-4.3", "root", "setpriv")
def test_a_make_of_another_user(ctx):
    """It opens the FIFO by its name."""
    ctx.makefile("m", 8, "m")
    run = ctx.run([*AS_NOBODY, "make", "-C", "m"], slots=3, tools=["make-4.3"])
    ctx.desk.drive(3, total=8)
    run.finish()
    expect(run.notes(), [], "lines")


@needs("make-4.3", "root", "setpriv")
def test_what_a_killed_make_of_another_user_held(ctx):
    """... is free again, while its jobs hold theirs."""
    ctx.makefile("a", 8, "a")
    ctx.makefile("b", 8, "b")
    top = ctx.script("top", "make -C a; job between; exec make -C b\n")
    os.chmod(ctx.dir, 0o755)
    run = ctx.run([*AS_NOBODY, top], slots=4, tools=["make-4.3"])
    ctx.desk.wait(lambda: ctx.desk.count() == 4, "all slots taken")
    ctx.kill(run.find("make")[0])
    ctx.desk.wait(lambda: ctx.desk.count("between") == 1, "the next")
    for guest in ctx.desk.held():
        ctx.desk.release(guest)
    ctx.desk.wait(lambda: ctx.desk.count("a") + ctx.desk.count("between") == 0, "their ends")
    ctx.desk.peak = 0
    ctx.desk.drive(4, total=8, prefix="b")
    run.finish()


@needs("root", "setpriv")
def test_wrapped_compilers_and_exec_of_another_user(ctx):
    """They reach the socket, and the shims."""
    ctx.script("bin/myc", 'exec job "myc $1"\n')
    os.chmod(ctx.dir, 0o755)
    env = {"PATH": f"{ctx.dir}/bin:{ctx.environment()['PATH']}"}
    for inner in ("myc", f"{ctx.tokenpool} exec -- myc"):
        script = f"for i in 1 2 3 4 5 6; do {inner} $i & done; wait"
        run = ctx.run([*AS_NOBODY, "sh", "-c", script], slots=2, env=env, options=["--wrap=myc"])
        ctx.desk.drive(2, total=6)
        run.finish()
        expect(run.notes(), [], "lines")
        ctx.desk.entered = 0


@needs("root", "setpriv")
def test_a_new_arbiter_knows_the_user(ctx):
    run = ctx.run([*AS_NOBODY, "sh", "-c", f"job first; {ctx.tokenpool} exec -- job second"],
                  slots=2)
    ctx.desk.wait(lambda: ctx.desk.count() == 1, "the first")
    dead = run.arbiter()
    ctx.kill(dead)
    ctx.wait(lambda: run.arbiter() not in (None, dead), "a new arbiter")
    ctx.desk.drive(1, total=2)
    run.finish()
    expect_that(all("the arbiter died" in line for line in run.notes()), f"{run.notes()}")


@needs("root", "setpriv")
def test_what_another_user_cannot_reach_is_named(ctx):
    """With -q as well: his jobs are more than there are slots."""
    os.mkdir(f"{ctx.dir}/closed", 0o700)
    for folder, what in ((f"{ctx.dir}/closed", "fifo"), (None, "tokenpool/wrap/")):
        env = {"TMPDIR": folder} if folder else {"XDG_DATA_HOME": f"{ctx.dir}/closed"}
        ctx.script("bin/myc", "true\n")
        env["PATH"] = f"{ctx.dir}/bin:{ctx.environment()['PATH']}"
        run = ctx.run([*AS_NOBODY, "true"], slots=2, env=env, options=["-q", "--wrap=myc"])
        run.finish()
        expect_one_line(run, 0, f"goes on as user {NOBODY}, who may not use ")
        expect_that(what in run.notes()[0], run.notes()[0])


@needs("root", "setpriv")
def test_nobody_else_is_let_in(ctx):
    """... and the pool is closed to him who only tries."""
    run = ctx.run([*AS_NOBODY, "job", "inside"], slots=2)
    ctx.desk.wait(lambda: ctx.desk.count() == 1, "it is inside")
    words = read_proc(ctx.desk.inside[0].pid, "environ").decode().split("\0")
    fifo = next(word for word in words if word.startswith("TOKENPOOL_FIFO=")).partition("=")[2]
    for user, can in ((NOBODY, True), (NOBODY - 1, False)):
        words = ["setpriv", f"--reuid={user}", "--clear-groups", "test", "-w", fifo]
        expect(os.spawnvp(os.P_WAIT, words[0], words), 0 if can else 1, f"user {user}")
    ctx.desk.drive(1, total=1)
    run.finish()


def test_a_fifo_that_somebody_takes_away(ctx):
    """It is told while the build runs, once."""
    run = ctx.run(["sh", "-c", 'rm "$TOKENPOOL_FIFO"; job a'], slots=2)
    ctx.desk.wait(lambda: ctx.desk.count() == 1, "the job")
    ctx.wait(lambda: "removed or replaced the FIFO" in run.stderr(), "the line")
    ctx.desk.drive(1, total=1)
    run.finish()
    expect_one_line(run, 0, "removed or replaced the FIFO")
