"""Shells fetch tokens by redirections, which no filter sees: the count of bytes tells."""

import harness
from harness import expect_that, needs, timeout

FETCH = {
    "read": "IFS= read -r -n1 t <&$R",
    "dd": "dd bs=1 count=1 <&$R >/dev/null 2>&1",
    "head": "head -c1 <&$R >/dev/null",
}
PREAMBLE = "R=${TOKENPOOL_FDS%,*}; W=${TOKENPOOL_FDS#*,}\n"


def define(name, body, *wants):
    body.__name__ = f"test_{name}"
    globals()[body.__name__] = timeout(90)(needs("make", *wants)(body))


def shell_builds(ctx, fetch, rest, user, alone):
    """A script that fetches three tokens in an inner shell, then runs a make."""
    ctx.makefile("b", 12, "b")
    inner = ctx.script(
        "inner",
        PREAMBLE + f"for i in 1 2 3; do {fetch}; job --say got $i; done\njob hold\n" + rest)
    closing = "eval \"exec ${TOKENPOOL_FDS%,*}<&- ${TOKENPOOL_FDS#*,}>&-\"\n" if alone else ""
    top = ctx.script("top", f"{inner} &\n{closing}wait\nmake -C b\n")
    run = ctx.run([top], user=user)
    ctx.desk.wait(lambda: ctx.desk.count("hold") == 1, "the shell with three tokens")
    return run


def returning(how, fetch, user, one_by_one):
    def body(ctx):
        give = "printf + >&$W\n" * 3 if one_by_one else "printf +++ >&$W\n"
        run = shell_builds(ctx, fetch, give, user, False)
        ctx.desk.release(ctx.desk.held("hold")[0])
        ctx.desk.drive(4, total=12, prefix="b")
        report = run.finish()
        expect_that(report["tokens"]["refused"] == 0, "an honest return was refused")

    tail = "" if user is None else "_as_user"
    bulk = "" if one_by_one else "_in_bulk"
    define(f"{how}_returns{bulk}{tail}", body, *(["user"] if user else []))


def killed(how, fetch, user):
    def body(ctx):
        # An ordinary user learns only who had the FIFO open, so there the outer shell closes it.
        run = shell_builds(ctx, fetch, "", user, user is not None)
        # The job that it waits for has the FIFO open as well, and goes with it.
        pid = [p for p in harness.ancestors(ctx.desk.held("hold")[0].pid)
               if "inner" in harness.command_of(p)][0]
        ctx.kill(pid)
        ctx.wait_gone(pid)
        ctx.desk.release(ctx.desk.held("hold")[0])
        ctx.desk.drive(4, total=12, prefix="b")
        report = run.finish()
        expect_that(report["tokens"]["recovered"] == 3, "three tokens were recovered")

    tail = "" if user is None else "_as_user"
    define(f"{how}_killed{tail}", body, *(["user"] if user else ["root"]))


def ended(how, fetch, user):
    def body(ctx):
        """It forgets to return them and ends well: they are the outer shell's then, and at last the
        pool's."""
        run = shell_builds(ctx, fetch, "exit 0\n", user, user is not None)
        ctx.desk.release(ctx.desk.held("hold")[0])
        ctx.desk.let_all_out(run)
        run.finish()

    tail = "" if user is None else "_as_user"
    define(f"{how}_forgotten{tail}", body, *(["user"] if user else []))


for _how, _fetch in FETCH.items():
    for _user in (None, harness.NOBODY):
        returning(_how, _fetch, _user, True)
        returning(_how, _fetch, _user, False)
        killed(_how, _fetch, _user)
        ended(_how, _fetch, _user)


@needs("make")
def test_jobs_of_a_shell(ctx):
    """A shell that runs its jobs on tokens only: three are in at once, never four."""
    top = ctx.script(
        "top",
        PREAMBLE + "for i in $(seq 12); do\n"
        "  IFS= read -r -n1 t <&$R\n"
        "  { job s$i; printf + >&$W; } &\n"
        "done\nwait\n")
    run = ctx.run([top])
    ctx.desk.drive(3, total=12, prefix="s")
    run.finish()


@needs("make-4.3", "ninja-1.13.2")
def test_shell_beside_make(ctx):
    """A shell's tokens, unseen, and a make's, seen, come out of one pool."""
    ctx.makefile("b", 20, "b")
    shell = ctx.script(
        "shell",
        PREAMBLE + "IFS= read -r -n1 t <&$R\njob s1\nprintf + >&$W\njob --say shell done\n")
    ctx.write("t/Makefile", f"all: x y\nx:\n\t+@{shell}\ny:\n\t+@$(MAKE) -C ../b\n")
    run = ctx.run(["make", "-C", "t"], tools=["make-4.3"])
    # Two slots are the two recipes' own; the shell has one more, and the make one.
    ctx.desk.wait(lambda: ctx.desk.count("b") >= 1, "the make's job")
    while ctx.desk.count("s") == 0:
        ctx.desk.release(ctx.desk.held("b")[0])
        entered = ctx.desk.entered
        ctx.desk.wait(lambda: ctx.desk.entered > entered, "another job")
    ctx.desk.drive(2, total=4, prefix="b")
    ctx.desk.release(ctx.desk.held("s")[0])
    ctx.desk.let_all_out(run)
    run.finish()
    expect_that(ctx.desk.peak <= 4, f"{ctx.desk.peak} jobs at once")
