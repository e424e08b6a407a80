"""As an ordinary user, in a pid namespace of its own, in a user namespace: tracking is exact, and
killed holders lose nothing."""

import os
import shutil

import harness
from harness import MachineLacks, expect, expect_that, needs

BWRAP = ["bwrap", "--dev-bind", "/", "/", "--unshare-pid", "--proc", "/proc"]
UNSHARE = ["unshare", "-Ur"]


def open_gate(ctx):
    """ninja takes what it can when it begins, so all tokens have to be back by then."""
    ctx.desk.wait(lambda: ctx.desk.held("gate"), "the next step of the script")
    ctx.desk.release(ctx.desk.held("gate")[0])


def confined(name, wrap, user, *wants):
    def build(ctx):
        ctx.makefile("a", 12, "a")
        ctx.ninjafile("c", 12, "c")
        ctx.makefile("b", 12, "b")
        top = ctx.script("top", "make -C a\njob gate\nninja -C c\njob gate\nmake -C b\n")
        return ctx.run([top], tools=["make-4.3", "ninja-1.13.2"], wrap=wrap, user=user)

    def plain(ctx):
        run = build(ctx)
        for prefix in "acb":
            ctx.desk.drive(4, total=12, prefix=prefix)
            if prefix != "b":
                open_gate(ctx)
        report = run.finish()
        expect(report["tracking"], "exact", "tracking")
        expect(report["tokens"]["recovered"], 0, "tokens recovered")

    def killed(ctx):
        run = build(ctx)
        for prefix, tool in (("a", "make"), ("c", "ninja")):
            ctx.desk.wait(lambda: ctx.desk.count(prefix) == 4, f"four jobs of {tool}")
            pid = run.find(tool)[-1]
            ctx.kill(pid)
            ctx.wait_gone(pid)
            for guest in ctx.desk.held(prefix):
                ctx.desk.release(guest)
            ctx.desk.wait(lambda: ctx.desk.count(prefix) == 0, "the orphans' end")
            open_gate(ctx)
        ctx.desk.drive(4, total=12, prefix="b")
        report = run.finish()
        expect(report["tracking"], "exact", "tracking")
        for tool in ("make", "ninja"):
            rows = [r for r in report["recoveries"] if r["command"].startswith(tool)]
            expect([r["held"] for r in rows], [3], f"held by the dead {tool}")

    for kind, body in (("build", plain), ("killed", killed)):
        body.__name__ = f"test_{name}_{kind}"
        globals()[body.__name__] = needs("make-4.3", "ninja-1.13.2", *wants)(body)


confined("user", [], harness.NOBODY, "user")
confined("bwrap", BWRAP, None, "bwrap")
confined("bwrap_as_user", BWRAP, harness.NOBODY, "bwrap", "user")
confined("unshare", UNSHARE, None, "unshare")
confined("unshare_as_user", UNSHARE, harness.NOBODY, "unshare", "user")


SOMEBODY_ELSE = 65533


def setuid_program(ctx):
    """A copy of id(1) that runs as somebody else, where setuid means anything."""
    if os.statvfs(ctx.dir).f_flag & os.ST_NOSUID:
        raise MachineLacks("the tests' folder is on a file system that is nosuid")
    if b"NoNewPrivs:\t1" in harness.read_proc("self", "status"):
        raise MachineLacks("no_new_privs is set for the tests themselves")
    path = shutil.copy("/usr/bin/id", f"{ctx.dir}/identity")
    os.chown(path, SOMEBODY_ELSE, SOMEBODY_ELSE)
    os.chmod(path, 0o4755)
    return path


def setuid_in_a_build(ctx, expected, track, user=None):
    """A recipe executes it beside others; it runs as `expected`, and the pool stays whole."""
    program = setuid_program(ctx)
    ctx.makefile("a", 12, "a")
    ctx.write("t/Makefile", f"all: a id\n.PHONY: all a id\na:\n\t+@$(MAKE) -C ../a\n"
              f"id:\n\t@job --say uid $$({program} -u)\n")
    run = ctx.run(["make", "-C", "t"], tools=["make-4.3"], options=[f"--track={track}"], user=user)
    ctx.desk.drive(4, total=12, prefix="a")
    expect(run.finish()["tracking"], track, "tracking")
    expect(ctx.desk.texts("uid"), [str(expected)], "uid of the setuid program")


@needs("make-4.3", "root")
def test_setuid_programs_work_for_root(ctx):
    """With CAP_SYS_ADMIN the filter needs no no_new_privs: what is setuid stays so."""
    setuid_in_a_build(ctx, SOMEBODY_ELSE, "exact")


@needs("make-4.3", "user")
def test_setuid_programs_gain_nothing_for_an_ordinary_user(ctx):
    """Exact tracking without privilege sets no_new_privs."""
    setuid_in_a_build(ctx, harness.NOBODY, "exact", harness.NOBODY)


@needs("make-4.3", "user")
def test_setuid_programs_work_for_an_ordinary_user_with_inference(ctx):
    setuid_in_a_build(ctx, SOMEBODY_ELSE, "infer", harness.NOBODY)


@needs("make-4.3", "ninja-1.13.2")
def test_infer(ctx):
    """Without the tracker, what is lost comes back when the build is gone."""
    ctx.makefile("a", 12, "a")
    ctx.makefile("b", 12, "b")
    run = ctx.run([ctx.script("top", "make -C a\nmake -C b\n")], tools=["make-4.3"],
                  options=["--track", "infer"])
    ctx.desk.drive(4, total=12, prefix="a")
    ctx.desk.wait(lambda: ctx.desk.count("b") == 4, "four jobs")
    ctx.kill(run.find("make")[-1])
    ctx.desk.let_all_out(run)
    report = run.finish(status=137)
    expect(report["tracking"], "infer", "tracking")
    expect(report["tokens"]["recovered"], 3, "tokens recovered")


def without_proc(name, wrap, *options, wants=()):
    """Where no process can be seen, nobody is taken for dead: a plain jobserver serves."""

    def body(ctx):
        ctx.makefile("m", 8, "m")
        run = ctx.run(["make", "-C", "m"], slots=2, tools=["make-4.3"], wrap=wrap,
                      options=options)
        ctx.desk.drive(2, total=8)
        report = run.finish()
        expect(report["tracking"], "none", "tracking")
        expect(report["tokens"]["minted"], 0, "tokens made anew")
        expect(report["tokens"]["recovered"], 0, "tokens recovered")
        expect_that(any("nobody can tell who holds a slot" in line for line in run.notes()),
                    f"it says so: {run.notes()}")

    body.__name__ = f"test_{name}"
    globals()[body.__name__] = needs("root", "make-4.3", "unshare", *wants)(body)


HIDDEN = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"]
# A sanitizer reads files of /proc itself.
without_proc("no_proc", HIDDEN, wants=["static"])
without_proc("no_proc_infer", HIDDEN, "--track", "infer", wants=["static"])
without_proc("proc_of_an_outer_pid_namespace", ["unshare", "-pf"])
